-- SPDX-License-Identifier: MIT
-- Deleted messages by conversation, for the unread counters: without it a counter reads every row
-- above the mark. Empty until somebody deletes, and a send never touches it. Alone in its
-- transaction because building it reads the whole log while sends wait.

CREATE INDEX events_deleted_idx ON public.events (conversation_id, seq)
	WHERE deleted_at IS NOT NULL;
