/*
 * Who has to go when a client comes and there is no room.
 *
 * A crowd of clients that send nothing, send slowly or do not read must not keep those out that do.
 * So the one goes whom the server has waited for the longest: whoever behaves has been waited for
 * only since its last request or the last bytes that it took, for milliseconds. Where that is too
 * long, since others come by thousands a second, it is one of the client with the most connections,
 * so that whoever has but one is safe from a crowd.
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

/* Clients whose hashes meet count as one. */
#define SLOTS 1024

static size_t
slot_of(const struct connection *connection)
{
	return http_client_hash(connection->client) % SLOTS;
}

/* @return of the client with the most connections the one waited for the longest, or NULL */
static struct connection *
find_crowd(const struct http_server *server)
{
	unsigned counts[SLOTS] = {0}, most = 0;
	struct connection *connection;
	struct group crowd = {0};
	LIST_FOREACH (connection, &server->connections, link) {
		if (connection->is_shut || connection->request.is_suspended)
			continue;
		unsigned count = ++counts[slot_of(connection)];
		most = count > most ? count : most;
	}
	LIST_FOREACH (connection, &server->connections, link)
		if (!connection->is_shut && counts[slot_of(connection)] == most)
			group_add(&crowd, connection);
	return crowd.longest;
}

bool
room_make(struct http_server *server, struct http_client client)
{
	unsigned all = 0;
	struct group same = {0};
	struct connection *connection;
	LIST_FOREACH (connection, &server->connections, link) {
		if (connection->is_shut)
			continue;
		all++;
		if (http_client_equal(connection->client, client))
			group_add(&same, connection);
	}
	if (same.count >= server->limits.connections_per_address)
		connection = same.longest;
	else if (all >= server->limits.connections)
		connection = find_crowd(server);
	else
		return true;
	if (!connection)
		return false;
	server->stats.evicted++;
	connection_drop(connection);
	return true;
}
