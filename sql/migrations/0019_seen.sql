-- SPDX-License-Identifier: MIT
-- A change may name the state of the conversation that its actor saw: it is compared under the
-- conversation's lock, so that of two changes of one state the second is refused.

CREATE FUNCTION public.conversation_tag(p_updated_at timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN to_char(p_updated_at AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSMS');
COMMENT ON FUNCTION public.conversation_tag IS
	'Names one state of what can be changed of a conversation: the digits of updated_at';

-- Two states within one millisecond have two names.
CREATE FUNCTION public.conversations_dated() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
	NEW.updated_at := greatest(NEW.updated_at, OLD.updated_at + interval '1 millisecond');
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION public.conversations_dated IS 'Keeps conversations.updated_at rising';
CREATE TRIGGER conversations_dated
	BEFORE UPDATE OF updated_at ON public.conversations
	FOR EACH ROW EXECUTE FUNCTION public.conversations_dated();

-- log_change, unless the conversation's tag is another than the one seen: then status is 10. A
-- change that is stored already under its key is answered so, and not compared with itself.
CREATE FUNCTION public.log_change_seen(
	p_tag text, p_conv bigint, p_kind smallint, p_actor bigint, p_client_msg_id uuid,
	p_target bigint, p_subject bigint, p_content text, p_key text, p_may_moderate boolean,
	p_recover_days integer, p_until_ms bigint, p_reason text, p_address text)
RETURNS TABLE (status smallint, rev bigint, seq bigint, at_ms bigint, target_seq bigint,
	target_author bigint, content text, subject_name text, tag text)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
DECLARE
	v record;
	v_tag text;
BEGIN
	SELECT public.conversation_tag(c.updated_at) INTO v_tag
	FROM public.conversations c WHERE c.id = p_conv FOR NO KEY UPDATE;
	IF v_tag <> p_tag AND NOT EXISTS (SELECT 1 FROM public.events e
		WHERE e.client_msg_id = p_client_msg_id AND e.actor_id = p_actor)
	THEN
		RETURN QUERY SELECT 10::smallint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
			0::bigint, NULL::text, NULL::text, v_tag;
		RETURN;
	END IF;
	SELECT l.* INTO v
	FROM public.log_change(p_conv, p_kind, p_actor, p_client_msg_id, p_target, p_subject,
		p_content, p_key, p_may_moderate, p_recover_days, p_until_ms, p_reason,
		p_address) AS l;
	RETURN QUERY SELECT v.status, v.rev, v.seq, v.at_ms, v.target_seq, v.target_author,
		v.content, v.subject_name, public.conversation_tag(c.updated_at)
	FROM (SELECT) AS one LEFT JOIN public.conversations c ON c.id = p_conv;
END
$$;
COMMENT ON FUNCTION public.log_change_seen IS
	'One durable change of a conversation as its actor saw it, and the tag after it';
