/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that travel with bytes over a UNIX socket (SCM_RIGHTS, unix(7)).
 * What the bytes mean is the caller's.
 */
#ifndef BASE_FDPASS_H
#define BASE_FDPASS_H

#include <sys/types.h>
#include <sys/uio.h>

#include "base/base.h"

#define FDPASS_MAX 2 /* descriptors in one packet */

/*
 * Sends the bytes of IOV and N_FDS (0 to FDPASS_MAX) descriptors, which stay the caller's, without
 * waiting and without SIGPIPE. Returns what sendmsg returns, with errno.
 */
ssize_t fdpass_send(int to, const struct iovec *iov, size_t n_iov, const int *fds,
		    size_t n_fds) MUST_CHECK;

/*
 * Receives at most MAX bytes and FDPASS_MAX descriptors without waiting. The descriptors are
 * closed on exec and the caller's; more than that many, the kernel has closed. Returns what recvmsg
 * returns, with errno; *RET_N_FDS is 0 unless bytes have come.
 */
ssize_t fdpass_receive(int from, void *bytes, size_t max, int fds[FDPASS_MAX],
		       size_t *ret_n_fds) MUST_CHECK;

#endif
