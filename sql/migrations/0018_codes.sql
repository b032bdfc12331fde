-- SPDX-License-Identifier: MIT
-- Rooms that are found by a code: giving codes out, how long a room is kept for whom, and its end.
-- A code belongs to one open conversation at a time; closing the conversation frees it, and its
-- messages stay with the conversation.

CREATE TABLE public.code_rooms (
	conversation_id bigint PRIMARY KEY
		CONSTRAINT code_rooms_conversation_fkey
			REFERENCES public.conversations (id) ON DELETE CASCADE,
	state text NOT NULL DEFAULT 'held'
		CONSTRAINT code_rooms_state_check CHECK (state IN ('held', 'busy', 'closing')),
	held_until timestamptz NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX code_rooms_held_idx ON public.code_rooms (held_until);
COMMENT ON TABLE public.code_rooms IS 'Open rooms with a code, and when to look at them next';
COMMENT ON COLUMN public.code_rooms.state IS
	'held: kept for those who may come back; busy: there was somebody at the last look; closing: '
	'nobody gets in any more';

CREATE TABLE public.code_visits (
	conversation_id bigint NOT NULL
		CONSTRAINT code_visits_conversation_fkey
			REFERENCES public.code_rooms (conversation_id) ON DELETE CASCADE,
	user_id bigint NOT NULL
		CONSTRAINT code_visits_user_fkey REFERENCES public.users (id) ON DELETE CASCADE,
	held_until timestamptz NOT NULL,
	PRIMARY KEY (conversation_id, user_id)
) WITH (fillfactor = 70);
CREATE INDEX code_visits_user_idx ON public.code_visits (user_id);
COMMENT ON TABLE public.code_visits IS
	'Who looks at the page of a room without a socket, and until when the room is kept for that';

-- 24 letters: without I and O, which are taken for digits. 0 to 331775 are all there are.
CREATE FUNCTION public.code_text(n bigint) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN substr('ABCDEFGHJKLMNPQRSTUVWXYZ', (n / 13824 % 24)::integer + 1, 1)
	|| substr('ABCDEFGHJKLMNPQRSTUVWXYZ', (n / 576 % 24)::integer + 1, 1)
	|| substr('ABCDEFGHJKLMNPQRSTUVWXYZ', (n / 24 % 24)::integer + 1, 1)
	|| substr('ABCDEFGHJKLMNPQRSTUVWXYZ', (n % 24)::integer + 1, 1);
COMMENT ON FUNCTION public.code_text IS 'The code of a number';

-- A new room with a code that nobody could foretell; no row when hardly any is left. With an owner
-- (0: none) that one is a member from the beginning.
CREATE FUNCTION public.code_open(p_owner bigint, p_grace_ms bigint)
RETURNS TABLE (conv bigint, code text)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
DECLARE
	v_conv bigint;
	v_code text;
BEGIN
	FOR i IN 1..300 LOOP
		-- the first 32 bits of a random UUID are random
		v_code := public.code_text((('x' || left(gen_random_uuid()::text, 8))::bit(32)::bigint
			& 4294967295) % 331776);
		INSERT INTO public.conversations (kind, code, created_by)
		VALUES ('code', v_code, nullif(p_owner, 0))
		ON CONFLICT (code) WHERE closed_at IS NULL DO NOTHING RETURNING id INTO v_conv;
		EXIT WHEN FOUND;
	END LOOP;
	IF v_conv IS NULL THEN
		RETURN;
	END IF;
	INSERT INTO public.audit (actor_id, action, conversation_id)
	VALUES (p_owner, 'conversation.create', v_conv);
	INSERT INTO public.members (conversation_id, user_id, role)
	SELECT v_conv, p_owner, 'owner' WHERE p_owner <> 0;
	INSERT INTO public.code_rooms (conversation_id, held_until)
	VALUES (v_conv, public.now_ms() + p_grace_ms * interval '1 millisecond');
	RETURN QUERY SELECT v_conv, v_code;
END
$$;
COMMENT ON FUNCTION public.code_open IS 'A new room with a code of its own';

-- What was found due, with the users whom the node has there. Rooms that somebody is in, or whose
-- page somebody looks at, are kept; one that was busy at the last look is kept for the grace, lest
-- its last user's leaving went unnoticed; the others let nobody in any more and are answered: they
-- have to be closed by an event of their log.
CREATE FUNCTION public.code_settle(
	p_convs bigint[], p_users bigint[], p_grace_ms bigint, p_again_ms bigint)
RETURNS TABLE (conv bigint)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
DECLARE
	v record;
	v_now timestamptz := public.now_ms();
BEGIN
	FOR v IN
		SELECT r.conversation_id AS conv, r.state, t.users, (SELECT max(x.held_until)
			FROM public.code_visits x WHERE x.conversation_id = r.conversation_id) AS visited
		FROM unnest(p_convs, p_users) AS t (conv, users)
		JOIN public.code_rooms r ON r.conversation_id = t.conv
		WHERE r.held_until <= v_now
		ORDER BY r.conversation_id FOR NO KEY UPDATE OF r SKIP LOCKED
	LOOP
		IF v.state = 'closing' OR v.users = 0 AND v.state = 'held'
			AND coalesce(v.visited <= v_now, true)
		THEN
			UPDATE public.code_rooms r SET state = 'closing',
				held_until = v_now + p_again_ms * interval '1 millisecond'
			WHERE r.conversation_id = v.conv;
			conv := v.conv;
			RETURN NEXT;
		ELSE
			UPDATE public.code_rooms r
			SET state = CASE WHEN v.users > 0 THEN 'busy' ELSE 'held' END,
				held_until = greatest(v.visited, v_now + interval '1 millisecond'
					* CASE WHEN v.users > 0 THEN p_again_ms
						WHEN v.state = 'busy' THEN p_grace_ms ELSE 0 END)
			WHERE r.conversation_id = v.conv;
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION public.code_settle IS
	'Decides about rooms with codes that are due; answers those to be closed';
