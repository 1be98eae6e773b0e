/* smime-milter.c - the daemon's command line: options, -n, -V, going into the background. What runs then is master.c.
 * Exit: 0 done, 1 cannot run, 2 usage, 3 configuration. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "milter/delivery.h"
#include "milter/drivers.h"
#include "milter/log.h"
#include "milter/master.h"
#include "milter/metrics_http.h"
#include "milter/version.h"

#define DEFAULT_PATH "/etc/smime-milter/smime-milter.conf"

enum { EXIT_DONE = 0, EXIT_CANNOT = 1, EXIT_USAGE = 2, EXIT_CONFIG = 3 };

struct options {
	const char *path;
	bool foreground, help, check, version, verbose;
};

static int usage(FILE *to, int status)
{
	fprintf(to, "usage: smime-milter [-c FILE] [-f] [-h] [-n] [-V] [-v]\n"
		    "  -c FILE  configuration (" DEFAULT_PATH ")\n"
		    "  -f       stay in the foreground, log to stderr\n"
		    "  -h       print this and exit\n"
		    "  -n       check the configuration and exit\n"
		    "  -V       print versions and drivers and exit\n"
		    "  -v       log more\n");
	return status;
}

static int parse(int argc, char **argv, struct options *options)
{
	int c;

	while ((c = getopt(argc, argv, "c:fhnVv")) != -1) {
		switch (c) {
		case 'c': options->path = optarg; break;
		case 'f': options->foreground = true; break;
		case 'h': options->help = true; break;
		case 'n': options->check = true; break;
		case 'V': options->version = true; break;
		case 'v': options->verbose = true; break;
		default: return -1;
		}
	}
	return optind == argc ? 0 : -1;
}

static void print_finding(void *self, const char *line)
{
	(void)self;
	fprintf(stderr, "%s\n", line);
}

static void print_warning(void *self, const char *line)
{
	(void)self;
	fprintf(stderr, "warning: %s\n", line);
}

static const struct conf_report to_stderr = { print_finding, NULL };
static const struct conf_report warnings_to_stderr = { print_warning, NULL };

/* As the workers would: with the user's rights. */
static int check(const char *path, const struct event_sink *sink)
{
	const struct site_env env = { .drivers = &drivers_all, .clock = &clock_system, .sink = sink,
		.findings = &to_stderr, .warnings = &warnings_to_stderr };
	struct site *site = NULL;
	struct setup setup;
	struct err err = { 0 };

	if (setup_read(path, &to_stderr, &warnings_to_stderr, &setup, &err) != 0 ||
	    identity_become(&setup.identity, &err) != 0 || site_load(path, &env, &site, &err) != 0 ||
	    setup_state(site, false, &warnings_to_stderr, &err) != 0 || setup_audit(site, &err) != 0 ||
	    setup_fetch(site, false, &err) != 0 ||
	    delivery_check(site, &err) != 0 || metrics_http_check(site, &err) != 0) {
		fprintf(stderr, "smime-milter: configuration refused: %s\n", err.text);
		site_free(site);
		return EXIT_CONFIG;
	}
	site_free(site);
	return EXIT_DONE;
}

/* The parent of a daemon waits here until the child serves (a byte arrives) or ends. */
static int await(int fd, pid_t child)
{
	char byte;
	int status = 0;

	if (read(fd, &byte, 1) == 1)
		return EXIT_DONE;
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) == 0)
		return EXIT_CANNOT;
	return WEXITSTATUS(status);
}

static void started(void *self)
{
	const int *fd = self;
	int null;

	if (*fd < 0)
		return;
	(void)!write(*fd, "R", 1);
	close(*fd);
	null = open("/dev/null", O_RDWR);
	for (int i = 0; null >= 0 && i <= 2; i++)
		(void)dup2(null, i);
	if (null > 2)
		close(null);
}

/* 0: this is the daemon, *fd for started(); 1: this was the parent, *status to exit with; -1. */
static int go_into_background(int *fd, int *status)
{
	int ends[2];
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return -1;
	child = fork();
	if (child < 0)
		return -1;
	if (child > 0) {
		close(ends[1]);
		*status = await(ends[0], child);
		return 1;
	}
	close(ends[0]);
	if (setsid() < 0 || chdir("/") != 0)
		return -1;
	*fd = ends[1];
	return 0;
}

static int serve(const struct options *options, const char *path, const struct event_sink *sink)
{
	int fd = -1, status = EXIT_CANNOT, rc = 0;
	const struct master_env env = { path, sink, options->foreground, started, &fd };
	struct setup setup;
	struct err err = { 0 };

	if (setup_read(path, &to_stderr, &warnings_to_stderr, &setup, &err) != 0) {
		fprintf(stderr, "smime-milter: configuration refused: %s\n", err.text);
		return EXIT_CONFIG;
	}
	if (!options->foreground)
		rc = go_into_background(&fd, &status);
	if (rc < 0)
		fprintf(stderr, "smime-milter: cannot go into the background: %s\n", strerror(errno));
	if (rc != 0)
		return status;
	version_warn(sink);
	return master_run(&env, &setup);
}

int main(int argc, char **argv)
{
	struct options options = { .path = DEFAULT_PATH };
	const struct event_sink *sink;
	char path[PATH_MAX];

	if (parse(argc, argv, &options) != 0)
		return usage(stderr, EXIT_USAGE);
	if (options.help)
		return usage(stdout, EXIT_DONE);
	if (options.version) {
		version_print();
		return EXIT_DONE;
	}
	/* Absolute, because a daemon leaves the directory that it was started in. */
	if (realpath(options.path, path) == NULL) {
		fprintf(stderr, "smime-milter: %s: %s\n", options.path, strerror(errno));
		return EXIT_CONFIG;
	}
	sink = log_open(options.foreground || options.check, options.verbose);
	return options.check ? check(path, sink) : serve(&options, path, sink);
}
