/* redis.h - a private Redis server on a unix socket in a directory of its own. Its password is REDIS_PASSWORD. */
#ifndef REDIS_H
#define REDIS_H

#include <sys/types.h>

#define REDIS_PASSWORD "secret-word"

struct redis {
	char *scratch, *socket;
	pid_t pid;
};

/* -1: redis-server is not installed. Else it takes connections, or the test program has ended with a message. */
int redis_start(struct redis *redis);
/* The same directory and socket again, after redis_kill. */
void redis_restart(struct redis *redis);
void redis_kill(struct redis *redis);
void redis_stop(struct redis *redis);
/* redis-cli with these arguments. */
void redis_command(const struct redis *redis, const char *arguments);

#endif
