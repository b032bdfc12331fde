/* SPDX-License-Identifier: MIT */
/*
 * Text into HTML, and pages from templates. Pure: what a page says is worker/pages.h's.
 */
#ifndef PROTO_HTML_H
#define PROTO_HTML_H

#include "base/base.h"
#include "base/buf.h"

/*
 * Appends S, valid UTF-8, so that HTML shows just these characters: between tags, and in attribute
 * values in double or single quotes. Nothing in it can begin a tag, a reference or end a value.
 */
void html_add_text(struct buf *b, struct str s);

/* What stands for "{{name}}" in a template. */
struct html_value {
	const char *name;
	struct str text; /* p NULL: nothing */
	bool is_html;	 /* made by these functions already; else it is escaped */
};

/*
 * Appends TEMPLATE with its places filled. Places that no value has a name for are left out; what a
 * value says is never looked at for places.
 */
void html_fill(struct buf *b, struct str template, const struct html_value *values, size_t n);

/*
 * The next place of TEMPLATE from *POS on, which moves behind it; *RET_BEFORE is the text in front
 * of it, *RET_NAME what stands between the braces. False at the end: *RET_BEFORE is the rest.
 */
bool html_next_place(struct str template, size_t *pos, struct str *ret_before,
		     struct str *ret_name);

#endif
