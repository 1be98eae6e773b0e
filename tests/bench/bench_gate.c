/* bench_gate.c - what the door costs above the bare work: signing and encrypting a message through gate_process,
 * drained, against OpenSSL's CMS functions on the very same bytes with base64 behind them. Times are medians, over
 * interleaved runs, of the processor time used; only their ratio is worth reading. The peak of memory is measured in a
 * process of its own for each size and way. Never part of the tests. Argument: the number of runs (default 21, and a
 * quarter of that for the largest size).
 */
#include <openssl/cms.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench.h"
#include "support/passage.h"
#include "support/people.h"

#define MEMORY_BYTES ((size_t)1 << 20)	/* limits.body_in_memory_kb's default: the largest size is spooled */

struct bench {
	struct people *people;
	struct site *site;
	struct passage_clock clock;
	struct buf wire;		/* the message */
	struct buf entity;		/* what is protected in it */
};

struct way {
	const char *name, *sender, *recipient, *who;
	bool sign, gcm;
};

static const struct way ways[] = {
	{ "sign rsa", "alice@example.com", "x@sign.example", "alice", true, false },
	{ "sign p256", "bob@example.com", "x@sign.example", "bob", true, false },
	{ "encrypt cbc", "zoe@example.com", "carol@partner.example", "carol", false, false },
	{ "encrypt gcm", "zoe@example.com", "dave@partner.example", "dave", false, true },
};
#define WAY_COUNT (sizeof(ways) / sizeof(ways[0]))

static const char conf[] =
	"socket = \"inet:0@127.0.0.1\"; authserv_id = \"mx.example.com\"; local_domains = \"example.com\";\n"
	"state_dir = \"%s/state\"; limits = { message_mb = 100; };\n"
	"keystores = ( { type = \"pem\"; path = \"%s/keys\"; } );\n"
	"collections = ( { name = \"all\"; files = \"%s/roots.pem\"; revocation = \"off\"; } );\n"
	"directories = ( { type = \"files\"; path = \"%s/certs\"; } );\n"
	"rules = ( { id = \"sign\"; recipient = \"*@sign.example\"; sign = \"require\"; },\n"
	"  { id = \"gcm\"; recipient = \"dave@partner.example\"; encrypt = \"require\"; ciphers = \"aes256-gcm\"; },\n"
	"  { id = \"cbc\"; encrypt = \"require\"; } );\n";

static double now_ms(void)
{
	return now_us(CLOCK_PROCESS_CPUTIME_ID) / 1e3;
}

static void load_site(struct bench *bench)
{
	const char *dir = bench->people->dir;
	struct buf text;
	struct err err;
	char path[128];

	buf_init(&text, 0);
	need(buf_printf(&text, conf, dir, dir, dir, dir) == 0, "memory");
	snprintf(path, sizeof(path), "%s/bench.conf", dir);
	testpki_write(path, &text, 0644);
	buf_clear(&text);
	passage_clock_init(&bench->clock);
	bench->site = passage_site(path, &bench->clock, &err);
	need(bench->site != NULL, "site");
}

static void make_message(struct bench *bench, size_t size, const char *sender)
{
	static const char line[] = "0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ.\r\n";
	int bad = 0;

	buf_clear(&bench->wire);
	buf_clear(&bench->entity);
	bad |= buf_append_text(&bench->entity, "Content-Type: text/plain; charset=us-ascii\r\n\r\n");
	while (bad == 0 && bench->entity.n < size)
		bad |= buf_append(&bench->entity, line, sizeof(line) - 1);
	bad |= buf_printf(&bench->wire, "From: %s\r\nTo: x@sign.example\r\nSubject: bench\r\nMIME-Version: 1.0\r\n",
			  sender);
	bad |= buf_append_slice(&bench->wire, buf_slice(&bench->entity));
	need(bad == 0, "memory");
}

static double through_door(const struct bench *bench, const struct way *way)
{
	const struct passage_options options = { .memory_bytes = MEMORY_BYTES, .directory = bench->people->dir,
						 .no_output = true };
	struct passage passage = { .arena = arena_new(0) };
	struct recipient recipient = { .args = "" };
	double start = now_ms();

	passage.envelope = (struct envelope){ .queue_id = "", .sender_args = "", .recipients = &recipient,
					      .recipient_count = 1, .login = "bench", .daemon_name = "" };
	need(passage_address(passage.arena, way->sender, &passage.envelope.sender) == 0 &&
	     passage_address(passage.arena, way->recipient, &recipient.address) == 0, "address");
	passage_run(bench->site, buf_slice(&bench->wire), &options, &passage);
	if (passage.outcome.action != ACTION_ACCEPT || !passage.outcome.body_changed)
		fprintf(stderr, "bench: %s %s %s\n", way->name, passage.outcome.reason, passage.err.text);
	need(passage.outcome.action == ACTION_ACCEPT && passage.outcome.body_changed, "the door");
	passage_clear(&passage);
	return now_ms() - start;
}

/* Into base64 and away, as the door's output would go. */
static BIO *new_sink(void)
{
	BIO *base64 = BIO_new(BIO_f_base64()), *null = BIO_new(BIO_s_null());

	need(base64 != NULL && null != NULL, "BIO");
	return BIO_push(base64, null);
}

static CMS_ContentInfo *bare_sign(const struct testpki *who, BIO *in)
{
	CMS_ContentInfo *cms = CMS_sign(who->x509, who->pkey, NULL, NULL, CMS_DETACHED | CMS_BINARY | CMS_STREAM);

	need(cms != NULL && CMS_final(cms, in, NULL, CMS_DETACHED | CMS_BINARY) == 1, "CMS_sign");
	return cms;
}

static double bare(const struct bench *bench, const struct way *way)
{
	const struct testpki *who = people_find(bench->people, way->who);
	double start = now_ms();
	BIO *in = BIO_new_mem_buf(bench->entity.p, (int)bench->entity.n), *out = new_sink();
	STACK_OF(X509) *certs = sk_X509_new_null();
	CMS_ContentInfo *cms = NULL;

	need(in != NULL && certs != NULL && sk_X509_push(certs, who->x509) > 0, "memory");
	if (way->sign) {
		cms = bare_sign(who, in);
		need(i2d_CMS_bio(out, cms) == 1, "i2d");
	} else {
		cms = CMS_encrypt(certs, in, way->gcm ? EVP_aes_256_gcm() : EVP_aes_256_cbc(), CMS_BINARY | CMS_STREAM);
		need(cms != NULL && i2d_CMS_bio_stream(out, cms, in, CMS_BINARY | CMS_STREAM) == 1, "CMS_encrypt");
	}
	need(BIO_flush(out) == 1, "flush");
	CMS_ContentInfo_free(cms);
	sk_X509_free(certs);
	BIO_free_all(out);
	BIO_free(in);
	return now_ms() - start;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), by_value);
	return values[n / 2];
}

/* A small message first, so that what is loaded once does not count; then how far one run raises the peak, in KiB. */
static long own_peak_growth(const struct bench *bench, const struct way *way)
{
	struct bench small = *bench;
	struct rusage before, after;

	buf_init(&small.wire, 0);
	buf_init(&small.entity, 0);
	make_message(&small, 1024, way->sender);
	through_door(&small, way);
	getrusage(RUSAGE_SELF, &before);
	through_door(bench, way);
	getrusage(RUSAGE_SELF, &after);
	return after.ru_maxrss - before.ru_maxrss;
}

/* In a child, whose peak nobody has raised before. */
static long peak_growth(const struct bench *bench, const struct way *way)
{
	long growth = -1;
	int ends[2];
	pid_t pid;

	need(pipe(ends) == 0, "pipe");
	pid = fork();
	need(pid >= 0, "fork");
	if (pid == 0) {
		growth = own_peak_growth(bench, way);
		_exit(write(ends[1], &growth, sizeof(growth)) == (ssize_t)sizeof(growth) ? 0 : 1);
	}
	close(ends[1]);
	if (read(ends[0], &growth, sizeof(growth)) != (ssize_t)sizeof(growth))
		growth = -1;
	close(ends[0]);
	waitpid(pid, NULL, 0);
	return growth;
}

static void compare(struct bench *bench, const struct way *way, size_t size, size_t runs)
{
	double *door = calloc(runs, sizeof(*door)), *cms = calloc(runs, sizeof(*cms)), a, b;

	need(door != NULL && cms != NULL, "memory");
	make_message(bench, size, way->sender);
	through_door(bench, way);
	bare(bench, way);
	for (size_t i = 0; i < runs; i++) {
		door[i] = through_door(bench, way);
		cms[i] = bare(bench, way);
	}
	a = median(door, runs);
	b = median(cms, runs);
	printf("%-12s %9zu KiB  door %9.3f ms  openssl %9.3f ms  ratio %6.2f  peak %+ld KiB\n", way->name, size / 1024,
	       a, b, a / b, peak_growth(bench, way));
	free(door);
	free(cms);
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = { 1024, 100 * 1024, 25 * 1024 * 1024 };
	size_t runs = argc > 1 ? strtoul(argv[1], NULL, 10) : 21;
	struct bench bench = { .people = people_new(false) };

	buf_init(&bench.wire, 0);
	buf_init(&bench.entity, 0);
	load_site(&bench);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < 3; i++)
		for (size_t k = 0; k < WAY_COUNT; k++)
			compare(&bench, &ways[k], sizes[i], i < 2 ? runs : runs / 4 + 1);
	buf_clear(&bench.wire);
	buf_clear(&bench.entity);
	site_free(bench.site);
	people_free(bench.people);
	return 0;
}
