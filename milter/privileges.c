/* privileges.c - looks users up and becomes one; limits of the process. Called by setup.c and generation.c. */
#include "milter/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

int identity_find(const char *name, struct identity *identity, struct err *err)
{
	const struct passwd *user;

	errno = 0;
	user = getpwnam(name);
	if (user == NULL)
		return err_set(err, ERR_CONFIG, "user \"%s\" does not exist%s%s", name, errno != 0 ? ": " : "",
			       errno != 0 ? strerror(errno) : "");
	if (strlen(name) >= sizeof(identity->name))
		return err_set(err, ERR_CONFIG, "user \"%s\": name too long", name);
	snprintf(identity->name, sizeof(identity->name), "%s", name);
	identity->uid = user->pw_uid;
	identity->gid = user->pw_gid;
	identity->change = true;
	return 0;
}

int identity_group(const char *name, gid_t *gid, struct err *err)
{
	const struct group *group;

	errno = 0;
	group = getgrnam(name);
	if (group == NULL)
		return err_set(err, ERR_CONFIG, "group \"%s\" does not exist%s%s", name, errno != 0 ? ": " : "",
			       errno != 0 ? strerror(errno) : "");
	*gid = group->gr_gid;
	return 0;
}

int identity_become(const struct identity *identity, struct err *err)
{
	if (!identity->change)
		return 0;
	if (initgroups(identity->name, identity->gid) != 0 || setgid(identity->gid) != 0 || setuid(identity->uid) != 0)
		return err_set(err, ERR_TEMP, "cannot become user \"%s\": %s", identity->name, strerror(errno));
	if (identity->uid != 0 && setuid(0) == 0)
		return err_set(err, ERR_BUG, "root's rights came back after giving them up");
	return 0;
}

void process_harden(void)
{
	const struct rlimit none = { 0, 0 };
	struct rlimit files;

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
}

/* libmilter waits for these in a thread and would cut all sessions. Ignored signals that the first thread does not
 * block are dropped by the kernel. */
void process_ignore_signals(void)
{
	sigset_t none;

	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}
