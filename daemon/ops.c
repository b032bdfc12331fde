/* SPDX-License-Identifier: MIT */
/*
 * Opens and closes the sockets of the operations listener.
 * Internet addresses are sockets.c's, paths ctl_socket.c's.
 */
#include "daemon/ops.h"

#include "base/log.h"
#include "base/settings.h"
#include "daemon/ctl_priv.h"
#include "daemon/master.h"
#include "daemon/sockets.h"

#define OPS_PATHS_MAX 4
#define OPS_MODE 0660 /* as the control socket's default: the group may look */
#define OPS_BACKLOG 128

struct ops {
	struct sockets *tcp; /* owned, one slot; NULL: none */
	int n_paths;
	char *paths[OPS_PATHS_MAX]; /* owned */
	struct ctl_socket sockets[OPS_PATHS_MAX];
	int n_fds;
	int fds[SOCKETS_MAX + OPS_PATHS_MAX]; /* all of the above, borrowed */
};

static bool is_path(struct str item)
{
	return item.len && item.p[0] == '/';
}

/* The items of LIST that are no paths, as a list. */
static void add_addresses(const char *list, struct buf *ret)
{
	struct str item;
	size_t pos = 0;

	while (settings_list_next(list, &pos, &item))
		if (!is_path(item))
			buf_printf(ret, "%.*s ", (int)item.len, item.p);
	buf_add_char(ret, '\0');
}

static void say(struct buf *ret_why, const char *path, const char *why)
{
	buf_printf(ret_why, "ops.listen: \"%s\": %s\n", path, why);
}

static int open_path(struct ops *ops, struct str path, struct buf *ret_why)
{
	char *copy = xstrndup(path.p, path.len);
	const char *why = "too many paths";
	int r = -ERR_FULL;

	if (ops->n_paths < OPS_PATHS_MAX)
		r = ctl_socket_open(copy, OPS_MODE, &ops->sockets[ops->n_paths], &why);
	if (r == -ERR_EXISTS)
		why = "another daemon serves it";
	if (r < 0) {
		say(ret_why, copy, why);
		free(copy);
		return r;
	}
	ops->fds[ops->n_fds++] = ops->sockets[ops->n_paths].fd;
	ops->paths[ops->n_paths++] = copy;
	return 0;
}

static int open_paths(struct ops *ops, const char *list, struct buf *ret_why)
{
	struct str item;
	size_t pos = 0;
	int r = 0;

	while (r == 0 && settings_list_next(list, &pos, &item))
		if (is_path(item))
			r = open_path(ops, item, ret_why);
	return r;
}

static bool is_default(const struct settings *s)
{
	struct settings *defaults = settings_new();
	bool is_same = strcmp(s->ops_listen, defaults->ops_listen) == 0;

	settings_free(&defaults);
	return is_same;
}

/* A daemon that somebody tries out may do without its health and metrics. */
static bool is_optional(const struct master *m)
{
	return m->opt->is_foreground && is_default(m->settings);
}

static int open_addresses(struct ops *ops, const struct master *m, struct buf *ret_why)
{
	struct sockets_plan plan = {.setting = "ops.listen", .n_slots = 1, .backlog = OPS_BACKLOG};
	struct buf addresses = BUF_INIT;
	const int *fds;
	int n = 0, r = 0;

	add_addresses(m->settings->ops_listen, &addresses);
	plan.list = (char *)addresses.p;
	plan.wait_ms = is_optional(m) ? 0 : (uint64_t)m->settings->server_listen_wait;
	if (addresses.len > 1)
		r = sockets_open(&plan, &ops->tcp, ret_why);
	buf_done(&addresses);
	if (r < 0 || !ops->tcp)
		return r;
	fds = sockets_of(ops->tcp, 0, &n);
	memcpy(ops->fds, fds, (size_t)n * sizeof(*fds));
	ops->n_fds = n;
	return 0;
}

/* Returns 0 when the daemon may go on without. WHY has the reason, with its line end. */
static int report(const struct master *m, struct buf *why)
{
	why->len -= why->len > 0;
	buf_add_char(why, '\0');
	if (is_optional(m)) {
		log_warn("no health and no metrics: set ops.listen to a free address",
			 LF_STR("error", (char *)why->p));
		return 0;
	}
	log_error("cannot listen for operations", LF_STR("error", (char *)why->p));
	return -ERR_IO;
}

int ops_open(struct master *m)
{
	struct ops *ops = xcalloc(1, sizeof(*ops));
	struct buf why = BUF_INIT;
	int r = open_addresses(ops, m, &why);

	if (r == 0)
		r = open_paths(ops, m->settings->ops_listen, &why);
	if (r < 0)
		r = report(m, &why);
	else if (ops->n_fds)
		m->ops = ops;
	buf_done(&why);
	if (m->ops != ops)
		ops_close(&ops);
	return r;
}

void ops_close(struct ops **pointer)
{
	struct ops *ops = *pointer;

	*pointer = NULL;
	if (!ops)
		return;
	sockets_free(&ops->tcp);
	for (int i = 0; i < ops->n_paths; i++) {
		ctl_socket_close(&ops->sockets[i], ops->paths[i]);
		free(ops->paths[i]);
	}
	free(ops);
}

const int *ops_fds(const struct ops *ops, int *ret_n)
{
	*ret_n = ops ? ops->n_fds : 0;
	return ops ? ops->fds : NULL;
}

void ops_print(const struct ops *ops, struct buf *ret)
{
	if (!ops)
		return;
	if (ops->tcp)
		sockets_print(ops->tcp, ret);
	for (int i = 0; i < ops->n_paths; i++)
		buf_printf(ret, "%s%s", ret->len ? " " : "", ops->paths[i]);
}

int ops_check(const char *list, struct buf *ret_why)
{
	struct buf addresses = BUF_INIT;
	struct str item;
	size_t pos = 0;
	int r = 0;

	add_addresses(list, &addresses);
	if (addresses.len > 1)
		r = sockets_check("ops.listen", (char *)addresses.p, ret_why);
	buf_done(&addresses);
	while (r == 0 && settings_list_next(list, &pos, &item))
		if (is_path(item) && item.len >= SOCKETS_PATH_MAX) {
			buf_printf(ret_why, "ops.listen: \"%.*s\": is too long for a socket\n",
				   (int)item.len, item.p);
			r = -ERR_INVAL;
		}
	return r;
}
