-- SPDX-License-Identifier: MIT
-- Rights are asked for again in the transaction that uses them. And workers learn of changed
-- rights by the transactions that changed them, those of a conversation's settings included:
-- neither a clock nor a transaction that is committed late hides one, and none is told twice.

-- ---- Who may act, now ----

CREATE FUNCTION public.role_rank(p_role text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(array_position(ARRAY['read-only', 'member', 'moderator', 'admin', 'owner'], p_role), 0);
COMMENT ON FUNCTION public.role_rank IS 'Roles rise; 0: none';

-- Whoever was demoted a moment ago waits for the lock and then sees it. p_above: somebody who must
-- be below the actor, unless that is an owner; p_role: a role that is given, not above the actor's
-- own. The server's administrators may. Of a conversation that is not there others tell.
CREATE FUNCTION public.may_act(
	p_conv bigint, p_actor bigint, p_least text, p_above bigint, p_role text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	v_own integer;
	v_other integer;
BEGIN
	PERFORM 1 FROM public.conversations c WHERE c.id = p_conv FOR NO KEY UPDATE;
	IF NOT FOUND OR EXISTS (SELECT 1 FROM public.users u
		WHERE u.id = p_actor AND u.is_admin AND u.disabled_at IS NULL)
	THEN
		RETURN true;
	END IF;
	SELECT max(public.role_rank(m.role)) FILTER (WHERE m.user_id = p_actor),
		max(public.role_rank(m.role)) FILTER (WHERE m.user_id = p_above)
	INTO v_own, v_other
	FROM public.members m JOIN public.users u ON u.id = m.user_id
	WHERE m.conversation_id = p_conv AND m.user_id IN (p_actor, p_above)
	AND m.left_at IS NULL AND (m.user_id <> p_actor OR u.disabled_at IS NULL);
	v_own := coalesce(v_own, 0);
	RETURN v_own >= public.role_rank(p_least) AND public.role_rank(p_role) <= v_own
		AND (p_above IS NULL OR v_own = public.role_rank('owner')
			OR v_own > coalesce(v_other, 0));
END
$$;
COMMENT ON FUNCTION public.may_act IS
	'Whether somebody has a role at least, at the moment when it is used';

-- ---- What changed ----

ALTER TABLE public.members DROP COLUMN roles_at, ADD COLUMN roles_xid xid8;
COMMENT ON COLUMN public.members.roles_xid IS
	'The transaction that last changed what the user may do here: what workers look for';
CREATE INDEX members_roles_xid_idx ON public.members (roles_xid, conversation_id, user_id)
	WHERE roles_xid IS NOT NULL;

CREATE OR REPLACE FUNCTION public.members_changed() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
	IF TG_OP = 'INSERT' THEN
		IF NEW.left_at IS NULL OR NEW.role <> 'member' OR NEW.muted_until IS NOT NULL THEN
			NEW.roles_xid := pg_current_xact_id();
		END IF;
	ELSIF (OLD.role, OLD.left_at IS NULL, OLD.muted_until, OLD.banned_until) IS DISTINCT FROM
		(NEW.role, NEW.left_at IS NULL, NEW.muted_until, NEW.banned_until)
	THEN
		NEW.roles_xid := pg_current_xact_id();
	END IF;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION public.members_changed IS 'Keeps members.roles_xid';

ALTER TABLE public.conversations ADD COLUMN rights_xid xid8;
COMMENT ON COLUMN public.conversations.rights_xid IS
	'The transaction that last changed what everybody may do here: what workers look for';
CREATE INDEX conversations_rights_xid_idx ON public.conversations (rights_xid, id)
	WHERE rights_xid IS NOT NULL;

CREATE FUNCTION public.conversations_changed() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
	IF (OLD.kind, OLD.settings, OLD.closed_at, OLD.created_by)
		IS DISTINCT FROM (NEW.kind, NEW.settings, NEW.closed_at, NEW.created_by)
	THEN
		NEW.rights_xid := pg_current_xact_id();
	END IF;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION public.conversations_changed IS 'Keeps conversations.rights_xid';
CREATE TRIGGER conversations_changed
	BEFORE UPDATE OF kind, settings, closed_at, created_by ON public.conversations
	FOR EACH ROW EXECUTE FUNCTION public.conversations_changed();

-- The first row is the snapshot of this look. The others changed between the one of an earlier
-- look (p_seen; NULL: none, there are no others) and this one, p_most at most, behind the place
-- that the last three name; a conversation itself has user 0. Numbers of a database that was
-- restored elsewhere lie in the future, and count once they have passed; p_seen from there is
-- told by is_other.
CREATE FUNCTION public.rights_changed(
	p_seen pg_snapshot, p_xid bigint, p_conv bigint, p_user bigint, p_most integer)
RETURNS TABLE (seen text, is_other boolean, xid bigint, conv bigint, user_id bigint)
LANGUAGE plpgsql STABLE
AS $$
#variable_conflict use_column
DECLARE
	v_now pg_snapshot := pg_current_snapshot();
	v_from xid8 := greatest(pg_snapshot_xmin(p_seen), p_xid::text::xid8);
	v_to xid8 := pg_snapshot_xmax(v_now);
BEGIN
	RETURN QUERY SELECT v_now::text, coalesce(pg_snapshot_xmax(p_seen) > v_to, false), 0::bigint,
		0::bigint, 0::bigint;
	IF p_seen IS NULL OR pg_snapshot_xmax(p_seen) > v_to THEN
		RETURN;
	END IF;
	RETURN QUERY SELECT NULL::text, false, c.xid::text::bigint, c.conv, c.user_id FROM (
		(SELECT m.roles_xid, m.conversation_id, m.user_id FROM public.members m
			WHERE m.roles_xid >= v_from AND m.roles_xid < v_to
			AND NOT pg_visible_in_snapshot(m.roles_xid, p_seen)
			AND (m.roles_xid, m.conversation_id, m.user_id)
				> (p_xid::text::xid8, p_conv, p_user)
			ORDER BY m.roles_xid, m.conversation_id, m.user_id LIMIT p_most)
		UNION ALL
		(SELECT x.rights_xid, x.id, 0 FROM public.conversations x
			WHERE x.rights_xid >= v_from AND x.rights_xid < v_to
			AND NOT pg_visible_in_snapshot(x.rights_xid, p_seen)
			AND (x.rights_xid, x.id, 0::bigint) > (p_xid::text::xid8, p_conv, p_user)
			ORDER BY x.rights_xid, x.id LIMIT p_most)
	) AS c (xid, conv, user_id) ORDER BY c.xid, c.conv, c.user_id LIMIT p_most;
END
$$;
COMMENT ON FUNCTION public.rights_changed IS
	'Whose rights changed since an earlier look, each change once';
