/* SPDX-License-Identifier: MIT */
/*
 * Errors of conversations of two people as faults.
 * Answering with them is left to those who were asked.
 */
#include "worker/direct.h"

bool direct_fault(int err, const char *field, struct fault *ret)
{
	switch (err) {
	case -ERR_NOENT:
		fault_set(ret, E_NOT_FOUND);
		ret->field = field;
		snprintf(ret->text, sizeof(ret->text), "There is no such user.");
		return true;
	case -ERR_INVAL:
		fault_set(ret, E_INVALID);
		ret->field = field;
		snprintf(ret->text, sizeof(ret->text), "That is yourself.");
		return true;
	case -ERR_DENIED: /* as when the conversation is there already */
		fault_set(ret, E_READ_ONLY);
		return true;
	case -ERR_CLOSED:
		fault_set(ret, E_NO_SUCH_ROOM);
		return true;
	default:
		return false;
	}
}
