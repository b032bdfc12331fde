/* SPDX-License-Identifier: MIT */
/*
 * Sealing of any text, which only tests do with anything but a cookie's content.
 */
#ifndef WORKER_COOKIE_PRIV_H
#define WORKER_COOKIE_PRIV_H

#include "worker/cookie.h"

struct key;

/* Appends PLAIN sealed under KEY. False when the crypto library fails. */
bool cookie_seal_text(const struct key *key, struct str plain, struct buf *out) MUST_CHECK;

#endif
