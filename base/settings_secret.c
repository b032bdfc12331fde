/* SPDX-License-Identifier: MIT */
/*
 * Secrets: from files of their own, from the service manager's credentials; and weak ones refused.
 * The environment is settings_read.c's, masking in print settings_print.c's.
 */
#include "base/settings_priv.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET_FILE_MAX 65536
#define KEY_MIN 32	    /* characters of a key */
#define KEY_DIFFERENT_MIN 8 /* different characters of a key; random hexadecimal digits pass */
#define KEYS_PREVIOUS_MAX 15

/* Section and name of the setting, of the one that names its file, and the credential. */
struct secret {
	const char *section, *name, *file_name, *credential;
};

static const struct secret secrets[] = {
	{"auth", "secret_key", "secret_key_file", "secret_key"},
	{"auth", "previous_keys", "previous_keys_file", "previous_keys"},
	{"database", "url", "url_file", "database_url"},
};

static size_t row_of(const char *section, const char *name)
{
	int i = setting_find(str_of(section), str_of(name));

	assert(i >= 0); /* both tables are ours */
	return (size_t)i;
}

static const char *text_of(const struct settings *s, size_t row)
{
	return *(char *const *)setting_slot(s, row);
}

/* Files ------------------------------------------------------------------------------ */

/*
 * All of FILE and a NUL, unbuffered: nothing of it stays in memory that is not wiped. Returns 0 or
 * -ERR_IO with errno.
 */
static int slurp(int dir, const char *file, char text[SECRET_FILE_MAX + 1], size_t *ret_len)
{
	int fd = openat(dir, file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t len = 0;
	ssize_t n;
	int error;

	if (fd < 0)
		return -ERR_IO;
	do {
		n = read(fd, text + len, SECRET_FILE_MAX + 1 - len);
		if (n > 0)
			len += (size_t)n;
	} while (len <= SECRET_FILE_MAX && (n > 0 || (n < 0 && errno == EINTR)));
	error = n < 0 ? errno : len > SECRET_FILE_MAX ? EFBIG : 0;
	close(fd);
	if (error) {
		errno = error;
		return -ERR_IO;
	}
	*ret_len = len;
	return 0;
}

/* Without the end of the last line; a list may have an item a line. */
static struct str tidy(size_t row, char *text, size_t len)
{
	while (len && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	for (size_t i = 0; setting_table[row].type == SETTING_LIST && i < len; i++)
		if (text[i] == '\n' || text[i] == '\r')
			text[i] = ' ';
	return (struct str){text, len};
}

static void take_text(struct settings *s, size_t row, const char *place, struct str value,
		      struct buf *ret_faults)
{
	struct buf why = BUF_INIT;

	if (value.len == 0)
		buf_printf(ret_faults, "%s: is empty\n", place);
	else if (setting_parse(s, row, value, &why) < 0)
		buf_printf(ret_faults, "%s: %.*s\n", place, (int)why.len, (const char *)why.p);
	buf_done(&why);
}

/* FILE in DIR over row ROW of S; PLACE is what a fault is said to be of. */
static void take_file(struct settings *s, size_t row, int dir, const char *file, const char *place,
		      struct buf *ret_faults)
{
	char *text = xmalloc(SECRET_FILE_MAX + 1);
	size_t len;

	if (slurp(dir, file, text, &len) < 0)
		buf_printf(ret_faults, "%s: %m\n", place);
	else
		take_text(s, row, place, tidy(row, text, len), ret_faults);
	explicit_bzero(text, SECRET_FILE_MAX + 1);
	free(text);
}

static bool is_changed(const struct settings *s, const struct settings *base, size_t row)
{
	return !setting_is_equal(s, base, row);
}

int settings_read_secrets(struct settings *s, const struct settings *base, struct buf *ret_faults)
{
	size_t before = ret_faults->len, row, file_row;
	struct buf place = BUF_INIT;
	const char *file;

	for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
		row = row_of(secrets[i].section, secrets[i].name);
		file_row = row_of(secrets[i].section, secrets[i].file_name);
		file = text_of(s, file_row);
		if (!*file || !is_changed(s, base, file_row))
			continue;
		buf_clear(&place);
		buf_printf(&place, "%s.%s: %s", secrets[i].section, secrets[i].file_name, file);
		buf_add_char(&place, '\0');
		if (is_changed(s, base, row))
			buf_printf(ret_faults, "%s.%s: set already by %s.%s\n", secrets[i].section,
				   secrets[i].file_name, secrets[i].section, secrets[i].name);
		else
			take_file(s, row, AT_FDCWD, file, (char *)place.p, ret_faults);
	}
	buf_done(&place);
	return ret_faults->len == before ? 0 : -ERR_INVAL;
}

int settings_read_credentials(struct settings *s, struct buf *ret_faults)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	size_t before = ret_faults->len;
	struct buf place = BUF_INIT;
	int fd, r;

	if (!dir || !*dir)
		return 0;
	fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		r = errno == EACCES ? -ERR_DENIED : -ERR_INVAL;
		buf_printf(ret_faults, "CREDENTIALS_DIRECTORY: %s: %m\n", dir);
		return r;
	}
	for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
		if (faccessat(fd, secrets[i].credential, F_OK, 0) < 0 && errno == ENOENT)
			continue;
		buf_clear(&place);
		buf_printf(&place, "credential %s", secrets[i].credential);
		buf_add_char(&place, '\0');
		take_file(s, row_of(secrets[i].section, secrets[i].name), fd, secrets[i].credential,
			  (char *)place.p, ret_faults);
	}
	close(fd);
	buf_done(&place);
	return ret_faults->len == before ? 0 : -ERR_INVAL;
}

void settings_check_secret_files(const struct settings *s, const char *advice,
				 struct buf *ret_report)
{
	struct stat st;
	const char *file;

	for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
		file = text_of(s, row_of(secrets[i].section, secrets[i].file_name));
		if (*file && stat(file, &st) == 0 && (st.st_mode & S_IROTH))
			buf_printf(ret_report, "%s.%s: %s may be read by everybody%s\n",
				   secrets[i].section, secrets[i].file_name, file, advice);
	}
}

/* Weak keys -------------------------------------------------------------------------- */

/*
 * What people leave in from documentation, generators' placeholders and sample files, in letters
 * and digits alone. None of it can be in random text by chance.
 */
static const char *const placeholders[] = {
	"0123456789", "1234567890", "256bit",	     "abcdefghij", "changeit",	 "changeme",
	"changethis", "correcthorse", "deadbeef",  "defaultkey", "djangoinsecure", "donotuse",
	"example",    "insecure",   "keyboardcat", "mysecret",	 "password",	 "placeholder",
	"qwertyuiop", "replaceme",  "replacethis", "secretkey",	 "supersecret",	 "yoursecret",
	"yourkey",
};

static bool is_placeholder(struct str key)
{
	char *plain = xmalloc(key.len + 1);
	size_t n = 0;
	bool is_known = false;

	for (size_t i = 0; i < key.len; i++)
		if (isalnum((unsigned char)key.p[i]))
			plain[n++] = (char)tolower((unsigned char)key.p[i]);
	plain[n] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(placeholders) && !is_known; i++)
		is_known = strstr(plain, placeholders[i]);
	explicit_bzero(plain, n);
	free(plain);
	return is_known;
}

/* Length of the shortest text that, repeated, is KEY (cut at its end); KEY's own when none is. */
static size_t period_of(struct str key)
{
	for (size_t p = 1; p <= key.len / 2; p++)
		if (memcmp(key.p, key.p + p, key.len - p) == 0)
			return p;
	return key.len;
}

static size_t different(struct str key)
{
	bool seen[256] = {false};
	size_t n = 0;

	for (size_t i = 0; i < key.len; i++) {
		n += !seen[(uint8_t)key.p[i]];
		seen[(uint8_t)key.p[i]] = true;
	}
	return n;
}

/* Why KEY is no good, or NULL. */
static const char *weakness(struct str key)
{
	if (key.len < KEY_MIN)
		return "must have at least 32 characters";
	if (period_of(key) == 1)
		return "must not be one character repeated";
	if (period_of(key) < KEY_MIN)
		return "must not be a short text repeated";
	if (different(key) < KEY_DIFFERENT_MIN)
		return "must have at least 8 different characters";
	if (is_placeholder(key))
		return "must not be a well-known text; draw one: openssl rand -base64 32";
	return NULL;
}

void setting_check_keys(const struct settings *s, struct buf *ret_faults)
{
	const char *why = *s->auth_secret_key ? weakness(str_of(s->auth_secret_key)) : NULL;
	size_t pos = 0, n = 0;
	struct str key;

	if (why)
		buf_printf(ret_faults, "auth.secret_key: %s\n", why);
	while (settings_list_next(s->auth_previous_keys, &pos, &key)) {
		n++;
		why = weakness(key);
		if (why)
			buf_printf(ret_faults, "auth.previous_keys: number %zu %s\n", n, why);
	}
	if (n > KEYS_PREVIOUS_MAX)
		buf_printf(ret_faults, "auth.previous_keys: must not be more than %d\n",
			   KEYS_PREVIOUS_MAX);
}
