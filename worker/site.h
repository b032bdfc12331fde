/* SPDX-License-Identifier: MIT */
/*
 * The files of the page in memory: read once before the fork, shared by every worker, never
 * changed. Which of them a request gets, and in what form, is decided in static.c.
 */
#ifndef WORKER_SITE_H
#define WORKER_SITE_H

#include "base/base.h"
#include "base/map.h"
#include "proto/http_field.h"

#define SITE_FILE_MAX (4u << 20)   /* bytes of one file */
#define SITE_TOTAL_MAX (64u << 20) /* bytes of all files */
#define SITE_FILES_MAX 2000
#define SITE_DEPTH_MAX 8 /* folders below static/ */

#define SITE_VERSION_LEN 12 /* hex digits of a hash in a link */

/* One form of a file. */
struct variant {
	uint8_t *bytes; /* owned; NULL when there is no such form */
	size_t len;
	char etag[40]; /* strong, quotes included */
};

struct asset {
	char *path;	  /* owned; the request path, "/static/app.js"; "/" for the page */
	const char *type; /* static; media type */
	bool is_html;
	int64_t modified;	/* seconds since 1970 */
	char last_modified[HTTP_DATE_LEN + 1];
	char version[SITE_VERSION_LEN + 1];
	struct variant plain, gzip;
};

struct site {
	struct strmap by_path; /* path -> struct asset, owned */
	struct strmap templates; /* name -> struct asset, owned; not served */
	size_t n_files, total_bytes;
};

/*
 * Reads WEB_ROOT: index.html (served as "/", its links to /static files carry their hash), other
 * regular files beside it and everything below static/. Hidden files and symbolic links are left
 * out; NAME.gz is the compressed form of NAME if it holds exactly NAME's bytes, and nothing by
 * itself. What pages/ has are templates, which nobody gets as they are. Returns 0, -ERR_NOENT (no
 * index.html), -ERR_IO or -ERR_TOOBIG (a limit above).
 */
int site_load(const char *web_root, struct site **ret) MUST_CHECK;

/* NULL allowed; clears the pointer. */
void site_free(struct site **site);

/* The file at exactly this request path, or NULL; so is SITE where no page is served. */
const struct asset *site_find(const struct site *site, struct str path);

/* The text of pages/NAME, its links carry hashes as the page's do; p NULL: there is none. */
struct str site_template(const struct site *site, const char *name);

/* Media type for a file name, by its extension alone. Static, never NULL. */
const char *site_media_type(const char *name);

#endif
