-- SPDX-License-Identifier: MIT
-- A statement whose answer was lost with its connection is sent again. With a refresh token that is
-- for one use it must not look like a second one: what asked is kept beside what was asked.

ALTER TABLE public.sessions ADD COLUMN refresh_request uuid;
COMMENT ON COLUMN public.sessions.refresh_request IS
	'The request that made previous_hash the previous one: sent again, it is answered again';

DROP FUNCTION public.session_refresh(uuid, bytea, bytea, bytea, bigint, bigint, text);
CREATE FUNCTION public.session_refresh(
	p_session uuid, p_family bytea, p_shown bytea, p_next bytea, p_ttl_ms bigint,
	p_grace_ms bigint, p_address text, p_request uuid)
RETURNS TABLE (status smallint, session uuid, user_id bigint, uid uuid, name text,
	is_account boolean, is_admin boolean, expires_ms bigint)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
DECLARE
	s public.sessions%ROWTYPE;
	u public.users%ROWTYPE;
	v_now timestamptz;
	v_status smallint := 2;
BEGIN
	SELECT * INTO s FROM public.sessions o
	WHERE o.id = p_session AND o.kind = 'refresh' FOR UPDATE;
	v_now := public.now_ms();
	IF FOUND AND s.family_hash = p_family AND s.revoked_at IS NULL AND s.expires_at > v_now THEN
		SELECT * INTO u FROM public.users o WHERE o.id = s.user_id AND o.disabled_at IS NULL;
		v_status := CASE
			WHEN NOT FOUND THEN 2
			WHEN s.refresh_hash = p_shown THEN 0
			WHEN s.previous_hash = p_shown AND (s.refresh_request = p_request
				OR v_now < s.refreshed_at + p_grace_ms * interval '1 millisecond') THEN 1
			ELSE 3 END;
	END IF;
	IF v_status = 3 THEN
		UPDATE public.sessions o SET revoked_at = v_now WHERE o.id = p_session;
		PERFORM public.account_note(s.user_id, 'session.reuse', s.user_id, p_address,
			jsonb_build_object('session', p_session));
	ELSIF v_status < 2 THEN
		s.expires_at := v_now + p_ttl_ms * interval '1 millisecond';
		UPDATE public.sessions o SET refresh_hash = p_next,
			previous_hash = CASE v_status WHEN 0 THEN s.refresh_hash ELSE s.previous_hash END,
			refreshed_at = CASE v_status WHEN 0 THEN v_now ELSE s.refreshed_at END,
			refresh_request = CASE v_status WHEN 0 THEN p_request ELSE s.refresh_request END,
			last_seen_at = v_now, expires_at = s.expires_at,
			address = coalesce(p_address::inet, o.address)
		WHERE o.id = p_session;
	END IF;
	RETURN QUERY SELECT v_status, p_session, s.user_id, u.uid, u.name, u.kind = 'account',
		u.is_admin, public.epoch_ms(s.expires_at);
END
$$;
COMMENT ON FUNCTION public.session_refresh IS
	'Takes a refresh token and puts the next one in force; again for the same request';
