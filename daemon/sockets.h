/* SPDX-License-Identifier: MIT */
/*
 * The listening sockets: one per address and worker slot, kept by the master, or taken from
 * systemd. Accepting is the workers' business.
 */
#ifndef DAEMON_SOCKETS_H
#define DAEMON_SOCKETS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/ids.h"

/* Addresses after host names are resolved; sockets from systemd. */
#define SOCKETS_MAX 64

/* Bytes of a UNIX socket's path, the NUL included (unix(7)). */
#define SOCKETS_PATH_MAX 108

struct sockets; /* opaque */

struct sockets_plan {
	const char *setting; /* the name to complain of; borrowed as long as the sockets are */
	const char *list;    /* its value: addresses; borrowed for the call */
	unsigned n_slots;
	int backlog;
	uint64_t wait_ms; /* how long an address may still be in use, for all of them together */
};

/*
 * Opens for every address of the list and every slot a non-blocking SO_REUSEPORT socket, closed
 * on exec. With port 0 the system chooses one port for all slots. Blocks while an address is in
 * use, for wait_ms at most: the processes of a daemon that was killed take a moment to end. On
 * failure *RET_WHY says which address and why. Returns 0, -ERR_INVAL (address) or -ERR_IO.
 */
int sockets_open(const struct sockets_plan *plan, struct sockets **ret,
		 struct buf *ret_why) MUST_CHECK;

/*
 * Takes the N listening sockets FDS instead. An address with at least one socket per slot is
 * dealt out, one to a slot; the sockets of any other address are shared by all slots. Takes over
 * the descriptors also on failure. Returns 0 or -ERR_INVAL (no listening stream socket, more than
 * SOCKETS_MAX).
 */
int sockets_adopt(const int *fds, int n, unsigned n_slots, struct sockets **ret,
		  struct buf *ret_why) MUST_CHECK;

/* Closes what is left; NULL allowed, clears the pointer. */
void sockets_free(struct sockets **s);

/* The sockets that SLOT's worker accepts on. Borrowed; valid until the slot is closed. */
const int *sockets_of(const struct sockets *s, unsigned slot, int *ret_n);

/*
 * A slot that is not served closes its sockets, so that the kernel deals connections to the others;
 * shared ones stay. sockets_reopen brings them back: 0 or -ERR_IO.
 */
void sockets_close_slot(struct sockets *s, unsigned slot);
int sockets_reopen_slot(struct sockets *s, unsigned slot) MUST_CHECK;

/* In a worker: closes every socket that is not SLOT's. */
void sockets_keep_only(struct sockets *s, unsigned slot);

/* The node stops: sockets of our own refuse connections from now on, whoever else holds them. */
void sockets_shut(struct sockets *s);

/* Appends the addresses as "127.0.0.1:8080 [::1]:8080", with the ports in force. */
void sockets_print(const struct sockets *s, struct buf *ret);

/*
 * Checks that every address of LIST has a form that sockets_open accepts. Returns 0 or
 * -ERR_INVAL.
 */
int sockets_check(const char *setting, const char *list, struct buf *ret_why) MUST_CHECK;

#endif
