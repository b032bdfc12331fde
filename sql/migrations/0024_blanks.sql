-- SPDX-License-Identifier: MIT
-- Several blanks look like one where names are shown: they do not tell names apart. Who has a name
-- with several keeps it, and signs in with one blank or with as many.

DROP INDEX public.users_username_fold_key, public.users_email_fold_key, public.users_name_fold_idx,
	public.users_guest_fold_key;

-- As in 0016, and besides runs of blanks are one; NFKC has made every wide or narrow one U+0020.
DO $do$
DECLARE
	v_collate text := '';
BEGIN
	IF EXISTS (SELECT 1 FROM pg_catalog.pg_collation c
		WHERE c.collname = 'und-x-icu' AND c.collprovider = 'i')
	THEN
		v_collate := ' COLLATE pg_catalog."und-x-icu"';
	END IF;
	EXECUTE format(
		'CREATE OR REPLACE FUNCTION public.name_fold(t text) RETURNS text'
		' LANGUAGE sql IMMUTABLE PARALLEL SAFE'
		' RETURN regexp_replace('
		'lower(upper(normalize(regexp_replace(t, %2$L, %3$L, %4$L), NFKC)%1$s)%1$s),'
		' '' {2,}'', '' '', ''g'')',
		v_collate,
		'[\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180F\u200B-\u200F\u202A-\u202E'
		'\u2060-\u206F\u3164\uFE00-\uFE0F\uFEFF\uFFA0\uFFF0-\uFFF8\U0001BCA0-\U0001BCA3'
		'\U0001D173-\U0001D17A\U000E0000-\U000E0FFF]', '', 'g');
END
$do$;

-- Of those whose names have become equal, the first keeps what it has.
UPDATE public.users u SET name = left(u.name, 60) || ' ' || u.uid
WHERE u.kind = 'guest' AND EXISTS (SELECT 1 FROM public.users o WHERE o.kind = 'guest'
	AND o.id < u.id AND public.name_fold(o.name) = public.name_fold(u.name));
UPDATE public.users u SET username = left(u.username, 60) || '-' || u.uid,
	name = left(u.username, 60) || '-' || u.uid
WHERE u.username IS NOT NULL AND EXISTS (SELECT 1 FROM public.users o WHERE o.id < u.id
	AND public.name_fold(o.username) = public.name_fold(u.username));

CREATE UNIQUE INDEX users_username_fold_key ON public.users
	(public.name_fold(username) text_pattern_ops) WHERE username IS NOT NULL;
CREATE UNIQUE INDEX users_email_fold_key ON public.users
	(public.name_fold(email) text_pattern_ops) WHERE email IS NOT NULL;
CREATE INDEX users_name_fold_idx ON public.users (public.name_fold(name) text_pattern_ops)
	WHERE kind <> 'guest';
CREATE UNIQUE INDEX users_guest_fold_key ON public.users (public.name_fold(name) text_pattern_ops)
	WHERE kind = 'guest';
