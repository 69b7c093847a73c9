/*
 * Who has to go when a client comes and there is no room.
 *
 * A crowd of clients that send nothing, send slowly or do not read must not keep those out that do.
 * So the one goes whom the server has waited for the longest: whoever behaves has been waited for
 * only since its last request or the last bytes that it took, for milliseconds. Where that is too
 * long, since others come by thousands a second, it is one of the client with the most connections,
 * so that whoever has but one is safe from a crowd. Who shares an address with the crowd is not: so
 * nobody has to go whose request waits to be looked at or answered, unless he has ended his side
 * meanwhile and so may be gone, and who took some of his answer just now only where there is nobody
 * else.
 */
#include "http/connection.h"

/* How long a client may take nothing of its answer and still be thought to be reading it. */
#define READING_S 0.5

/* A group of connections: how many, and the one waited for the longest, if any may go. */
struct group {
	unsigned count;
	struct connection *longest;
};

/* @return whether the client waits for the server: what it sent was not looked at, or is seen to */
static bool
is_owed(const struct connection *connection)
{
	const struct http_server *server = connection->server;
	/* Whose handshake waits for its turn may have to make room for others. */
	bool is_unseen = connection->mhd ? connection->begun_run == server->runs : !server->tls;
	if (connection->has_left)
		return false;
	return connection->request.is_suspended || (connection->is_busy && is_unseen);
}

static bool
is_reading(const struct connection *connection)
{
	const struct http_request *request = &connection->request;
	return request->mhd && request->is_answered &&
	       ev_now(connection->server->loop) - connection->waiting_since < READING_S;
}

static void
group_add(struct group *group, struct connection *connection, bool takes_readers)
{
	group->count++;
	if (is_owed(connection) || (is_reading(connection) && !takes_readers))
		return;
	/* Of several that came at once the first, which is the last in the list. */
	if (!group->longest || connection->waiting_since <= group->longest->waiting_since)
		group->longest = connection;
}

#define SLOTS 1024

/* Of clients whose hashes meet one counts, so that nobody counts as part of a crowd by chance. */
struct slot {
	const struct connection *first; /* NULL = none */
	unsigned count;                 /* of its client's */
};

static struct slot *
slot_of(struct slot *slots, const struct connection *connection)
{
	return &slots[address_group_hash(connection->client) % SLOTS];
}

static bool
slot_counts(const struct slot *slot, const struct connection *connection)
{
	return slot->first && address_group_equal(slot->first->client, connection->client);
}

/* @return of the client with the most connections that may go the one waited for the longest, or
 * NULL */
static struct connection *
find_crowd(const struct http_server *server, bool takes_readers)
{
	struct slot slots[SLOTS] = {0};
	unsigned most = 0;
	struct connection *connection;
	struct group crowd = {0};
	LIST_FOREACH (connection, &server->connections, link) {
		if (connection->is_shut || is_owed(connection) ||
		    (is_reading(connection) && !takes_readers))
			continue;
		struct slot *slot = slot_of(slots, connection);
		if (!slot->first)
			slot->first = connection;
		if (slot_counts(slot, connection) && ++slot->count > most)
			most = slot->count;
	}
	LIST_FOREACH (connection, &server->connections, link) {
		const struct slot *slot = slot_of(slots, connection);
		if (!connection->is_shut && slot->count == most && slot_counts(slot, connection))
			group_add(&crowd, connection, takes_readers);
	}
	return crowd.longest;
}

/* @return whether a limit is met; @victim gets who may go, or NULL when all wait for the server */
static bool
is_full(const struct http_server *server, struct address_group client, bool takes_readers,
	struct connection **victim)
{
	unsigned all = 0;
	struct group same = {0};
	struct connection *connection;
	LIST_FOREACH (connection, &server->connections, link) {
		if (connection->is_shut)
			continue;
		all++;
		if (address_group_equal(connection->client, client))
			group_add(&same, connection, takes_readers);
	}
	if (same.count >= server->limits.connections_per_address)
		*victim = same.longest;
	else if (all >= server->limits.connections)
		*victim = find_crowd(server, takes_readers);
	else
		return false;
	return true;
}

static bool
make(struct http_server *server, struct address_group client, bool takes_readers)
{
	struct connection *victim;
	while (is_full(server, client, takes_readers, &victim)) {
		if (!victim)
			return false;
		/* Its request may have come this very moment. */
		if (!victim->is_busy)
			connection_look(victim);
		if (is_owed(victim))
			continue;
		server->stats.evicted++;
		connection_drop(victim);
		return true;
	}
	return true;
}

/* @return whether any were seen that were not before */
static bool
see_leavers(struct http_server *server)
{
	struct connection *connection;
	bool is_any = false;
	/* Else a flood of clients of which none has room could make this the server's only work. */
	if (server->stayed_run == server->runs)
		return false;
	LIST_FOREACH (connection, &server->connections, link) {
		if (connection->is_shut || connection->has_left || !connection_has_left(connection))
			continue;
		connection->has_left = true;
		is_any = true;
	}
	if (!is_any)
		server->stayed_run = server->runs;
	return is_any;
}

bool
room_make(struct http_server *server, struct address_group client)
{
	if (make(server, client, false))
		return true;
	if (see_leavers(server) && make(server, client, false))
		return true;
	return make(server, client, true);
}
