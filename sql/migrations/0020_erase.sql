-- SPDX-License-Identifier: MIT
-- Who wants to go is taken out of the database: what names the person goes, what was said stays
-- with an author who has no name any more.

ALTER TABLE public.users ADD COLUMN erased_at timestamptz;
COMMENT ON COLUMN public.users.erased_at IS
	'Since when nothing here tells who it was; the row stays for what names it';

-- p_credentials as in account_password_change. The first row is empty, the others are sessions
-- that have ended and conversations whose log tells of the leaving; no row: there is no such
-- account. The last owner of a conversation leaves it without one. The audit is not changed.
CREATE FUNCTION public.account_erase(p_user bigint, p_credentials bigint, p_address text)
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
COMMENT ON FUNCTION public.account_erase IS
	'Takes out what names a person; the messages stay, without a name';
