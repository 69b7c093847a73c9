/*
 * Who has to go when a client comes and there is no room.
 *
 * A crowd of clients that send nothing, send slowly or do not read must not keep those out that do.
 * So the one goes whom the server has waited for the longest: whoever behaves has been waited for
 * only since its last request or the last bytes that it took, for milliseconds.
 */
#include "http/connection.h"

/* A group of connections: how many, and the one waited for the longest. */
struct group {
	unsigned count;
	struct connection *longest;
};

static void
group_add(struct group *group, struct connection *connection)
{
	group->count++;
	/* What is suspended waits for the server. */
	if (connection->request.is_suspended)
		return;
	/* Of several that came at once the first, which is the last in the list. */
	if (!group->longest || connection->waiting_since <= group->longest->waiting_since)
		group->longest = connection;
}

bool
room_make(struct http_server *server, struct http_client client)
{
	struct group all = {0}, same = {0};
	struct connection *connection;
	LIST_FOREACH (connection, &server->connections, link) {
		if (connection->is_shut)
			continue;
		group_add(&all, connection);
		if (http_client_equal(connection->client, client))
			group_add(&same, connection);
	}
	const struct group *full = NULL;
	if (same.count >= server->limits.connections_per_address)
		full = &same;
	else if (all.count >= server->limits.connections)
		full = &all;
	if (!full)
		return true;
	if (!full->longest)
		return false;
	server->stats.evicted++;
	connection_drop(full->longest);
	return true;
}
