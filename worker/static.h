/* SPDX-License-Identifier: MIT */
/*
 * Serves the files of site.h: validators, ranges, compressed forms, lifetimes in caches.
 * The handler is named in routes.def.
 */
#ifndef WORKER_STATIC_H
#define WORKER_STATIC_H

#include "base/base.h"
#include "base/buf.h"
#include "proto/http.h"
#include "worker/site.h"

/* What to answer for one file; nothing to free but FIELDS. */
struct static_answer {
	int status;	    /* 200, 206, 304, 416 */
	const char *type;   /* NULL with 304 and 416 */
	struct str body;    /* borrowed from the site */
	struct buf fields;  /* owned; header lines, NUL-terminated */
};

/* Decides about REQ, which asks for A with GET or HEAD (RFC 9110 sections 12.5.3, 13 and 14). */
void static_decide(const struct asset *a, const struct http_request *req,
		   struct static_answer *ret);

#endif
