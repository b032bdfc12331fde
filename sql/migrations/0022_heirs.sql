-- SPDX-License-Identifier: MIT
-- The account that goes may be the last owner of a conversation: somebody else becomes one, or
-- nobody owns it. And nobody goes on being blocked who is nobody any more.

-- Makes somebody else an owner of p_conv if p_user is its only one: of its people with accounts
-- that are not disabled an administrator, else a moderator, else a member, of these who has been
-- there for longest. Where there is nobody, created_by goes, too: it is owned by nobody then.
-- Wants the lock of the conversation's row.
CREATE FUNCTION public.owner_follows(p_conv bigint, p_user bigint) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	v_heir bigint;
BEGIN
	IF NOT EXISTS (SELECT 1 FROM public.members m WHERE m.conversation_id = p_conv
		AND m.user_id = p_user AND m.role = 'owner' AND m.left_at IS NULL)
		OR EXISTS (SELECT 1 FROM public.members m WHERE m.conversation_id = p_conv
			AND m.user_id <> p_user AND m.role = 'owner' AND m.left_at IS NULL)
	THEN
		RETURN;
	END IF;
	SELECT m.user_id INTO v_heir
	FROM public.members m JOIN public.users u ON u.id = m.user_id
	WHERE m.conversation_id = p_conv AND m.left_at IS NULL AND m.user_id <> p_user
	AND m.role IN ('admin', 'moderator', 'member')
	AND u.kind = 'account' AND u.disabled_at IS NULL
	ORDER BY array_position(ARRAY['admin', 'moderator', 'member'], m.role), m.joined_at,
		m.user_id
	LIMIT 1;
	IF v_heir IS NULL THEN
		UPDATE public.conversations c SET created_by = NULL WHERE c.id = p_conv;
	ELSE
		PERFORM public.log_change(p_conv, 9::smallint, p_user, public.uuid_v7(), NULL,
			v_heir, NULL, 'owner', true, 0);
	END IF;
END
$$;
COMMENT ON FUNCTION public.owner_follows IS
	'Gives a conversation an owner before its last one goes';

-- As in 0020_erase.sql, but that conversations are left with an owner.
CREATE OR REPLACE FUNCTION public.account_erase(
	p_user bigint, p_credentials bigint, p_address text)
RETURNS TABLE (session uuid, conv bigint)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
DECLARE
	u public.users;
	v_conv bigint;
BEGIN
	SELECT x.* INTO u FROM public.users x WHERE x.id = p_user AND x.kind = 'account'
	AND (x.erased_at IS NOT NULL OR p_credentials < 0 OR x.credentials = p_credentials)
	FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	RETURN NEXT;
	IF u.erased_at IS NOT NULL THEN
		RETURN;
	END IF;

	RETURN QUERY SELECT e.session, NULL::bigint
	FROM public.sessions_end(p_user, NULL, NULL, p_user, p_address) e;
	FOR v_conv IN SELECT m.conversation_id FROM public.members m
		JOIN public.conversations c ON c.id = m.conversation_id
		WHERE m.user_id = p_user AND m.left_at IS NULL AND m.role <> 'banned'
		AND c.closed_at IS NULL ORDER BY m.conversation_id
	LOOP
		PERFORM 1 FROM public.conversations c WHERE c.id = v_conv FOR NO KEY UPDATE;
		PERFORM public.owner_follows(v_conv, p_user);
		UPDATE public.members m SET role = 'member'
		WHERE m.conversation_id = v_conv AND m.user_id = p_user AND m.role = 'owner';
		PERFORM 1 FROM public.log_change(v_conv, 8::smallint, p_user, public.uuid_v7(),
			NULL, p_user, NULL, NULL, true, 0) l WHERE l.status = 0;
		IF FOUND THEN
			RETURN QUERY SELECT NULL::uuid, v_conv;
		END IF;
	END LOOP;

	DELETE FROM public.totp_secrets t WHERE t.user_id = p_user;
	DELETE FROM public.recovery_codes r WHERE r.user_id = p_user;
	DELETE FROM public.reset_tokens r WHERE r.user_id = p_user;
	DELETE FROM public.resume_points r WHERE r.user_id = p_user;
	DELETE FROM public.code_visits v WHERE v.user_id = p_user;
	UPDATE public.sessions s SET device = NULL, address = NULL WHERE s.user_id = p_user;
	UPDATE public.users x
	SET username = 'deleted-' || public.uuid_v7(), name = 'Deleted user', email = NULL,
		full_name = NULL, avatar_url = NULL, password_hash = NULL, is_admin = false,
		credentials = x.credentials + 1, disabled_at = coalesce(x.disabled_at, public.now_ms()),
		erased_at = public.now_ms()
	WHERE x.id = p_user;
	PERFORM public.account_note(p_user, 'account.erase', p_user, p_address);
END
$$;

-- As in 0021_direct.sql, in both directions.
CREATE OR REPLACE FUNCTION public.blocks_forgotten() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
	DELETE FROM public.user_blocks b WHERE NEW.id IN (b.user_id, b.blocked_id);
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION public.blocks_forgotten IS
	'Deletes the blocks of who erases the account, and those by others';
