/* SPDX-License-Identifier: MIT */
/*
 * Reads the page's files into memory with their hashes, dates and compressed forms.
 * Answers no request: static.c does.
 */
#include "worker/site.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "proto/http_field.h"

#define HASH_LEN 32

static const struct {
	const char *extension, *type;
} media_types[] = {
	{"html", "text/html; charset=utf-8"},
	{"css", "text/css; charset=utf-8"},
	{"js", "text/javascript; charset=utf-8"},
	{"mjs", "text/javascript; charset=utf-8"},
	{"json", "application/json"},
	{"map", "application/json"},
	{"yaml", "application/yaml"},
	{"webmanifest", "application/manifest+json"},
	{"txt", "text/plain; charset=utf-8"},
	{"svg", "image/svg+xml"},
	{"png", "image/png"},
	{"jpg", "image/jpeg"},
	{"webp", "image/webp"},
	{"ico", "image/x-icon"},
	{"woff2", "font/woff2"},
	{"ogg", "audio/ogg"},
	{"mp3", "audio/mpeg"},
};

const char *site_media_type(const char *name)
{
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot && i < ARRAY_LEN(media_types); i++)
		if (strcmp(dot + 1, media_types[i].extension) == 0)
			return media_types[i].type;
	return "application/octet-stream";
}

static void asset_free(struct asset *a)
{
	if (!a)
		return;
	free(a->path);
	free(a->plain.bytes);
	free(a->gzip.bytes);
	free(a);
}

static void assets_free(struct strmap *assets)
{
	uint32_t pos = 0;
	struct str path;
	void *asset;

	while (strmap_next(assets, &pos, &path, &asset))
		asset_free(asset);
	strmap_done(assets);
}

void site_free(struct site **site)
{
	if (!*site)
		return;
	assets_free(&(*site)->by_path);
	assets_free(&(*site)->templates);
	free(*site);
	*site = NULL;
}

const struct asset *site_find(const struct site *site, struct str path)
{
	return site ? strmap_get(&site->by_path, path) : NULL;
}

struct str site_template(const struct site *site, const char *name)
{
	const struct asset *a = strmap_get(&site->templates, str_of(name));

	return a ? (struct str){(const char *)a->plain.bytes, a->plain.len} : str_of(NULL);
}

/* Fills in everything that follows from the plain bytes. */
static int asset_seal(struct asset *a)
{
	uint8_t hash[HASH_LEN];
	char hex[2 * HASH_LEN + 1];

	if (EVP_Digest(a->plain.bytes, a->plain.len, hash, NULL, EVP_sha256(), NULL) != 1)
		return -ERR_IO;
	for (size_t i = 0; i < HASH_LEN; i++)
		snprintf(hex + 2 * i, 3, "%02x", hash[i]);
	snprintf(a->version, sizeof(a->version), "%.*s", SITE_VERSION_LEN, hex);
	/* 128 bits of the hash tell files apart; the rest would only make headers longer. */
	snprintf(a->plain.etag, sizeof(a->plain.etag), "\"%.32s\"", hex);
	snprintf(a->gzip.etag, sizeof(a->gzip.etag), "\"%.32s-gz\"", hex);
	return 0;
}

/* Reads a regular file whole. The byte after the last one is a NUL that LEN does not count. */
static int file_read(int dir_fd, const char *name, uint8_t **ret_bytes, size_t *ret_len,
		     int64_t *ret_modified)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	uint8_t *bytes = NULL;
	size_t len = 0;
	int r = -ERR_IO;

	if (fd < 0)
		return errno == ENOENT || errno == ELOOP ? -ERR_NOENT : -ERR_IO;
	if (fstat(fd, &st) < 0)
		goto out;
	r = -ERR_NOENT;
	if (!S_ISREG(st.st_mode))
		goto out;
	r = -ERR_TOOBIG;
	if (st.st_size > (off_t)SITE_FILE_MAX)
		goto out;
	r = -ERR_IO;
	bytes = xmalloc((size_t)st.st_size + 1);
	while (len < (size_t)st.st_size) {
		ssize_t n = read(fd, bytes + len, (size_t)st.st_size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			goto out; /* cut short while we read: better no start than half a file */
		len += (size_t)n;
	}
	bytes[len] = '\0';
	*ret_bytes = bytes;
	*ret_len = len;
	*ret_modified = st.st_mtim.tv_sec;
	bytes = NULL;
	r = 0;
out:
	free(bytes);
	close(fd);
	return r;
}

/* CRC-32 of gzip (RFC 1952 section 8), bit by bit: a start reads a few hundred kilobytes. */
static uint32_t crc32_of(const uint8_t *p, size_t len)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (0xedb88320u & -(crc & 1));
	}
	return ~crc;
}

static uint32_t le32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/*
 * Whether GZ claims, in its trailer (RFC 1952 section 2.3.1), to hold exactly PLAIN: not a
 * leftover.
 */
static bool gzip_matches(const uint8_t *gz, size_t gz_len, const struct variant *plain)
{
	if (gz_len < 18 || gz[0] != 0x1f || gz[1] != 0x8b)
		return false;
	return le32(gz + gz_len - 4) == (uint32_t)plain->len &&
	       le32(gz + gz_len - 8) == crc32_of(plain->bytes, plain->len);
}

static int asset_add_gzip(struct asset *a, int dir_fd, const char *name)
{
	char gz_name[NAME_MAX + 4];
	int64_t modified;
	uint8_t *bytes;
	size_t len;
	int r;

	snprintf(gz_name, sizeof(gz_name), "%s.gz", name);
	r = file_read(dir_fd, gz_name, &bytes, &len, &modified);
	if (r < 0)
		return r == -ERR_NOENT ? 0 : r;
	if (!gzip_matches(bytes, len, &a->plain) || len >= a->plain.len) {
		free(bytes);
		return 0;
	}
	a->gzip.bytes = bytes;
	a->gzip.len = len;
	return 0;
}

static int site_add(struct site *site, struct asset *a)
{
	int r = asset_seal(a);

	http_date_format(a->modified, a->last_modified);
	if (r < 0)
		return r;
	site->n_files++;
	site->total_bytes += a->plain.len + a->gzip.len;
	if (site->n_files > SITE_FILES_MAX || site->total_bytes > SITE_TOTAL_MAX)
		return -ERR_TOOBIG;
	strmap_put(&site->by_path, str_of(a->path), a);
	return 0;
}

static struct asset *asset_read(int dir_fd, const char *name, const char *path, int *ret_err)
{
	struct asset *a = xcalloc(1, sizeof(*a));

	a->path = xstrndup(path, strlen(path));
	a->type = site_media_type(name);
	a->is_html = strncmp(a->type, "text/html", 9) == 0;
	*ret_err = file_read(dir_fd, name, &a->plain.bytes, &a->plain.len, &a->modified);
	if (*ret_err < 0) {
		asset_free(a);
		return NULL;
	}
	return a;
}

/* A file that is not the page. What is no regular file is passed over. */
static int site_read_file(struct site *site, int dir_fd, const char *name, const char *path)
{
	struct asset *a;
	int r;

	a = asset_read(dir_fd, name, path, &r);
	if (!a)
		return r == -ERR_NOENT ? 0 : r;
	r = asset_add_gzip(a, dir_fd, name);
	if (r == 0)
		r = site_add(site, a);
	if (r < 0)
		asset_free(a);
	return r;
}

static bool has_suffix(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && strcmp(s + n - m, suffix) == 0;
}

/* Reads the files of one folder, and those below it while DEPTH allows. Takes over DIR_FD. */
static int site_read_dir(struct site *site, int dir_fd, const char *prefix, int depth)
{
	DIR *dir = fdopendir(dir_fd);
	struct dirent *e;
	int r = 0;

	if (!dir) {
		close(dir_fd);
		return -ERR_IO;
	}
	while (r == 0 && (e = readdir(dir))) {
		char path[4096];
		struct stat st;

		if (e->d_name[0] == '.' || has_suffix(e->d_name, ".gz") ||
		    fstatat(dir_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (snprintf(path, sizeof(path), "%s%s%s", prefix, e->d_name,
			     S_ISDIR(st.st_mode) ? "/" : "") >= (int)sizeof(path)) {
			r = -ERR_TOOBIG;
		} else if (S_ISREG(st.st_mode) && strcmp(path, "/index.html") != 0) {
			r = site_read_file(site, dir_fd, e->d_name, path);
		} else if (S_ISDIR(st.st_mode) && depth > 0) {
			int fd = openat(dir_fd, e->d_name,
					O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

			r = fd < 0 ? -ERR_IO : site_read_dir(site, fd, path, depth - 1);
		}
	}
	closedir(dir);
	return r;
}

/* Appends "?v=HASH" to every "/static/NAME" in the page that names a file of ours. */
static void page_add_versions(const struct site *site, struct asset *page)
{
	const char *p = (const char *)page->plain.bytes, *end = p + page->plain.len, *at;
	struct buf out = BUF_INIT;

	while ((at = memmem(p, (size_t)(end - p), "\"/static/", 9))) {
		const char *close = memchr(at + 1, '"', (size_t)(end - at - 1));
		const struct asset *a;

		if (!close)
			break;
		buf_add(&out, p, (size_t)(close - p));
		a = site_find(site, (struct str){at + 1, (size_t)(close - at - 1)});
		if (a) {
			buf_printf(&out, "?v=%s", a->version);
			/* The page changes with the files that it links to. */
			page->modified = MAX(page->modified, a->modified);
		}
		p = close;
	}
	buf_add(&out, p, (size_t)(end - p));
	if (out.len == page->plain.len) {
		buf_done(&out);
		return;
	}
	free(page->plain.bytes);
	page->plain.bytes = out.p;
	page->plain.len = out.len;
}

static int site_read_template(struct site *site, int dir_fd, const char *name)
{
	struct asset *a;
	int r;

	a = asset_read(dir_fd, name, name, &r);
	if (!a)
		return r == -ERR_NOENT ? 0 : r;
	page_add_versions(site, a);
	if (++site->n_files > SITE_FILES_MAX) {
		asset_free(a);
		return -ERR_TOOBIG;
	}
	strmap_put(&site->templates, str_of(a->path), a);
	return 0;
}

/* Takes over DIR_FD. */
static int site_read_templates(struct site *site, int dir_fd)
{
	DIR *dir = fdopendir(dir_fd);
	struct dirent *e;
	int r = 0;

	if (!dir) {
		close(dir_fd);
		return -ERR_IO;
	}
	while (r == 0 && (e = readdir(dir)))
		if (e->d_name[0] != '.' && has_suffix(e->d_name, ".html"))
			r = site_read_template(site, dir_fd, e->d_name);
	closedir(dir);
	return r;
}

static int site_read_page(struct site *site, int root_fd)
{
	struct asset *page;
	int r;

	page = asset_read(root_fd, "index.html", "/", &r);
	if (!page)
		return r;
	page_add_versions(site, page);
	r = asset_add_gzip(page, root_fd, "index.html");
	if (r == 0)
		r = site_add(site, page);
	if (r < 0)
		asset_free(page);
	return r;
}

int site_load(const char *web_root, struct site **ret)
{
	int root_fd = open(web_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
	struct site *site;
	int r = -ERR_IO;

	if (root_fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? -ERR_NOENT : -ERR_IO;
	site = xcalloc(1, sizeof(*site));
	fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		goto fail;
	r = site_read_dir(site, fd, "/", 0);
	if (r < 0)
		goto fail;
	fd = openat(root_fd, "static", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0)
		r = site_read_dir(site, fd, "/static/", SITE_DEPTH_MAX);
	if (r < 0)
		goto fail;
	fd = openat(root_fd, "pages", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0)
		r = site_read_templates(site, fd);
	if (r == 0)
		r = site_read_page(site, root_fd);
	if (r < 0)
		goto fail;
	close(root_fd);
	*ret = site;
	return 0;
fail:
	close(root_fd);
	site_free(&site);
	return r;
}
