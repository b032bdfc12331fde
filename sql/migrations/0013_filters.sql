-- SPDX-License-Identifier: MIT
-- Content filters: what messages may not say, in one conversation or in all, and what was said
-- although a filter took notice of it. Every change of the rules gets the next version inside its
-- transaction, under the lock of one row, so versions appear in order: who has read up to one has
-- missed nothing below it.

CREATE TABLE public.filters_version (
	is_only boolean PRIMARY KEY DEFAULT true
		CONSTRAINT filters_version_only_check CHECK (is_only),
	version bigint NOT NULL,
	removed_at_version bigint NOT NULL
) WITH (fillfactor = 10);
COMMENT ON TABLE public.filters_version IS 'One row: the newest version of the content filters';
COMMENT ON COLUMN public.filters_version.removed_at_version IS
	'When rows last vanished: who has read less than everything since must read all again';
INSERT INTO public.filters_version (version, removed_at_version) VALUES (0, 0);

CREATE TABLE public.filters (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	conversation_id bigint
		CONSTRAINT filters_conversation_fkey
			REFERENCES public.conversations (id) ON DELETE CASCADE,
	kind text NOT NULL CONSTRAINT filters_kind_check CHECK (kind IN ('word', 'regex', 'link')),
	action text NOT NULL
		CONSTRAINT filters_action_check CHECK (action IN ('block', 'mask', 'flag')),
	pattern text NOT NULL
		CONSTRAINT filters_pattern_check CHECK (char_length(pattern) BETWEEN 1 AND 500),
	reason text NOT NULL DEFAULT ''
		CONSTRAINT filters_reason_check CHECK (octet_length(reason) <= 200),
	created_by bigint
		CONSTRAINT filters_created_by_fkey REFERENCES public.users (id) ON DELETE SET NULL,
	created_at timestamptz NOT NULL DEFAULT public.now_ms(),
	deleted_at timestamptz,
	version bigint NOT NULL DEFAULT 0
);
CREATE INDEX filters_conversation_idx ON public.filters (conversation_id)
	WHERE conversation_id IS NOT NULL;
CREATE INDEX filters_created_by_idx ON public.filters (created_by) WHERE created_by IS NOT NULL;
CREATE UNIQUE INDEX filters_version_idx ON public.filters (version);
CREATE UNIQUE INDEX filters_pattern_key
	ON public.filters (coalesce(conversation_id, 0), kind, action, md5(pattern))
	WHERE deleted_at IS NULL;
COMMENT ON TABLE public.filters IS
	'Rules for the texts of messages; a row without conversation is for all. Deleted rows stay '
	'for a day, so that who reads by version learns of it';
COMMENT ON COLUMN public.filters.reason IS 'What the sender is told when the rule blocks';

CREATE FUNCTION public.filters_stamp() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
	IF TG_OP = 'UPDATE' AND (NEW.id, NEW.conversation_id) IS DISTINCT FROM
			(OLD.id, OLD.conversation_id) THEN
		RAISE 'a filter stays what it is: make another one' USING ERRCODE = 'check_violation';
	END IF;
	UPDATE public.filters_version v SET version = v.version + 1 RETURNING v.version INTO NEW.version;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION public.filters_stamp IS 'Gives each new state of a filter the next version';
CREATE TRIGGER filters_stamp BEFORE INSERT OR UPDATE ON public.filters
	FOR EACH ROW EXECUTE FUNCTION public.filters_stamp();

CREATE FUNCTION public.filters_removed() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
	UPDATE public.filters_version v
	SET version = v.version + 1, removed_at_version = v.version + 1;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION public.filters_removed IS 'Has all readers begin again: rows have vanished';
CREATE TRIGGER filters_removed AFTER DELETE OR TRUNCATE ON public.filters
	FOR EACH STATEMENT EXECUTE FUNCTION public.filters_removed();

CREATE FUNCTION public.filter_json(f public.filters) RETURNS text
LANGUAGE sql STABLE
RETURN json_build_object('id', (f).id::text, 'conversation', (f).conversation_id::text,
	'kind', (f).kind, 'action', (f).action, 'pattern', (f).pattern, 'reason', (f).reason,
	'created_by', (f).created_by::text, 'created_at', public.iso_ms((f).created_at))::text;
COMMENT ON FUNCTION public.filter_json IS 'A filter as clients see it';

-- Status 0: made; 1: there are p_max already; 2: no such open conversation.
CREATE FUNCTION public.filter_add(p_conv bigint, p_kind text, p_action text, p_pattern text,
	p_reason text, p_user bigint, p_max integer, OUT status integer, OUT filter text)
LANGUAGE plpgsql
AS $$
DECLARE
	made public.filters;
BEGIN
	status := 2;
	IF p_conv IS NOT NULL THEN
		PERFORM FROM public.conversations c
		WHERE c.id = p_conv AND c.closed_at IS NULL FOR KEY SHARE;
		IF NOT FOUND THEN
			RETURN;
		END IF;
	END IF;
	PERFORM FROM public.filters_version FOR UPDATE; -- so that the count holds
	status := 1;
	IF (SELECT count(*) FROM public.filters f WHERE f.deleted_at IS NULL
			AND coalesce(f.conversation_id, 0) = coalesce(p_conv, 0)) >= p_max THEN
		RETURN;
	END IF;
	INSERT INTO public.filters (conversation_id, kind, action, pattern, reason, created_by)
	VALUES (p_conv, p_kind, p_action, p_pattern, p_reason, p_user)
	RETURNING * INTO made;
	INSERT INTO public.audit (actor_id, action, conversation_id, detail)
	VALUES (coalesce(p_user, 0), 'filter.make', p_conv, jsonb_build_object('filter', made.id,
		'kind', p_kind, 'action', p_action, 'pattern', p_pattern));
	status := 0;
	filter := public.filter_json(made);
END
$$;
COMMENT ON FUNCTION public.filter_add IS 'Makes a filter, at most p_max in one place';

-- How many filters it deleted, 0 or 1. Rows deleted a day ago vanish with it: by then everybody
-- who follows the versions has seen them go, and who comes later reads what there is.
CREATE FUNCTION public.filter_delete(p_conv bigint, p_id bigint, p_user bigint) RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
	n integer;
BEGIN
	UPDATE public.filters f SET deleted_at = public.now_ms()
	WHERE f.id = p_id AND f.conversation_id IS NOT DISTINCT FROM p_conv AND f.deleted_at IS NULL;
	GET DIAGNOSTICS n = ROW_COUNT;
	IF n > 0 THEN
		INSERT INTO public.audit (actor_id, action, conversation_id, detail)
		VALUES (coalesce(p_user, 0), 'filter.delete', p_conv,
			jsonb_build_object('filter', p_id));
	END IF;
	IF EXISTS (SELECT FROM public.filters f
			WHERE f.deleted_at < public.now_ms() - interval '1 day') THEN
		DELETE FROM public.filters f WHERE f.deleted_at < public.now_ms() - interval '1 day';
	END IF;
	RETURN n;
END
$$;
COMMENT ON FUNCTION public.filter_delete IS 'Deletes a filter of one place';

-- What was stored although a filter flagged it. Written before the message itself, under its key:
-- a hit without a message is none, a flagged message without its hit cannot be. A moment after the
-- message it becomes a report; what a crash leaves in between is reported by the next who looks.
CREATE TABLE public.filter_hits (
	actor_id bigint NOT NULL,
	client_msg_id uuid NOT NULL,
	conversation_id bigint NOT NULL
		CONSTRAINT filter_hits_conversation_fkey
			REFERENCES public.conversations (id) ON DELETE CASCADE,
	filter_id bigint,
	reason text NOT NULL,
	at timestamptz NOT NULL DEFAULT public.now_ms(),
	reported_at timestamptz,
	PRIMARY KEY (actor_id, client_msg_id)
);
CREATE INDEX filter_hits_conversation_idx ON public.filter_hits (conversation_id);
CREATE INDEX filter_hits_due_idx ON public.filter_hits (at) WHERE reported_at IS NULL;
COMMENT ON TABLE public.filter_hits IS
	'Messages and edits that a filter flagged, by their keys; filter_id is NULL for the hook';

CREATE FUNCTION public.filter_hits_report() RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
	n integer;
BEGIN
	WITH due AS MATERIALIZED (
		SELECT h.actor_id, h.client_msg_id, h.conversation_id, h.reason,
			coalesce(e.target_rev, e.rev) AS rev
		FROM public.filter_hits h
		JOIN public.events e ON e.actor_id = h.actor_id AND e.client_msg_id = h.client_msg_id
			AND e.conversation_id = h.conversation_id
		WHERE h.reported_at IS NULL
		ORDER BY h.at LIMIT 1000 FOR UPDATE OF h SKIP LOCKED
	), made AS (
		INSERT INTO public.reports
			(conversation_id, reporter_id, target_rev, target_user_id, reason)
		SELECT d.conversation_id, 0, d.rev, d.actor_id,
			coalesce(nullif(d.reason, ''), 'A content filter flagged this.')
		FROM due d
		ON CONFLICT DO NOTHING
	)
	UPDATE public.filter_hits h SET reported_at = public.now_ms() FROM due d
	WHERE h.actor_id = d.actor_id AND h.client_msg_id = d.client_msg_id;
	GET DIAGNOSTICS n = ROW_COUNT;
	DELETE FROM public.filter_hits h
	WHERE h.reported_at IS NULL AND h.at < public.now_ms() - interval '1 day';
	RETURN n;
END
$$;
COMMENT ON FUNCTION public.filter_hits_report IS
	'Makes reports, by nobody (user 0), of hits whose messages were stored';
