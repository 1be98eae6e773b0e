/* redis.c - starts redis-server and waits for its socket. Called by tests of the journal. */
#include "support/redis.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/testdir.h"

static int try_connect(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), rc = -1;

	if (strlen(path) < sizeof(address.sun_path)) {
		strcpy(address.sun_path, path);
		rc = connect(fd, (const struct sockaddr *)&address, sizeof(address));
	}
	close(fd);
	return rc;
}

static _Noreturn void run_server(const struct redis *redis)
{
	/* Not left behind by a test that fails. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (chdir(redis->scratch) == 0)
		(void)execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", redis->socket, "--save", "",
			     "--appendonly", "no", "--databases", "64", "--logfile", "log", "--requirepass",
			     REDIS_PASSWORD, (char *)NULL);
	_exit(127);
}

void redis_restart(struct redis *redis)
{
	int tries = 0;

	(void)unlink(redis->socket);
	redis->pid = fork();
	if (redis->pid == 0)
		run_server(redis);
	while (try_connect(redis->socket) != 0 && tries++ < 2000)
		(void)poll(NULL, 0, 10);
	if (tries < 2000)
		return;
	fprintf(stderr, "redis-server does not start: see %s/log\n", redis->scratch);
	exit(99);
}

int redis_start(struct redis *redis)
{
	*redis = (struct redis){ .pid = -1 };
	if (system("command -v redis-server > /dev/null") != 0)
		return -1;
	redis->scratch = testdir_scratch();
	redis->socket = testdir_path(redis->scratch, "socket");
	redis_restart(redis);
	return 0;
}

void redis_kill(struct redis *redis)
{
	(void)kill(redis->pid, SIGKILL);
	(void)waitpid(redis->pid, NULL, 0);
}

void redis_stop(struct redis *redis)
{
	redis_kill(redis);
	free(redis->socket);
	testdir_remove(redis->scratch);
}

void redis_command(const struct redis *redis, const char *arguments)
{
	char command[600];

	snprintf(command, sizeof(command), "redis-cli -s %s -a '%s' --no-auth-warning %s > /dev/null", redis->socket,
		 REDIS_PASSWORD, arguments);
	if (system(command) == 0)
		return;
	fprintf(stderr, "redis-cli %s failed\n", arguments);
	exit(99);
}
