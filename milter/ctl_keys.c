/* ctl_keys.c - smimectl keys list and keys test: the own keys of all key stores, what they are for and how long yet. */
#include "milter/ctl.h"

#include <stdlib.h>

#include "milter/report.h"

#define DAY_SECONDS 86400

/* Rounded down, so that the last day is 0 and an expired key negative. */
static long days_left(time_t now, time_t not_after)
{
	const long long seconds = (long long)not_after - (long long)now;

	return (long)(seconds >= 0 ? seconds / DAY_SECONDS : -((-seconds + DAY_SECONDS - 1) / DAY_SECONDS));
}

/* address NULL: all keys. */
static int find(struct ctl *ctl, const struct address *address, struct report_key **items, size_t *n, struct err *err)
{
	const time_t now = clock_now(&ctl->site->clock);
	struct key **keys = NULL;
	size_t i;

	*n = 0;
	if (keystore_find(ctl->site->keystores, ctl->site->keystore_count, ctl->arena, address, &keys, n, err) < 0)
		return -1;
	*items = arena_array(ctl->arena, *n, sizeof(**items));
	if (*items == NULL && *n > 0)
		return err_memory(err);
	for (i = 0; i < *n; i++) {
		(*items)[i].key = keys[i];
		(*items)[i].days_left = days_left(now, cert_info(key_cert(keys[i]))->not_after);
	}
	return 0;
}

static const char *usage_of(const struct cert *cert)
{
	if (cert_may_sign(cert))
		return cert_may_encrypt(cert) ? "sign,encrypt" : "sign";
	return cert_may_encrypt(cert) ? "encrypt" : "none";
}

static void print_key(const struct report_key *item)
{
	const struct cert *cert = key_cert(item->key);
	const struct cert_info *info = cert_info(cert);
	const struct slice address = info->address_count > 0 ? info->addresses[0].text : slice_of("-");

	printf("%.*s\t%s\t%ld days%s\t%s\t%s", SLICE_ARGS(address), info->serial, labs(item->days_left),
	       item->days_left < 0 ? " expired" : "", usage_of(cert), key_source(item->key));
	if (item->tested)
		printf("\t%s", item->failure != NULL ? item->failure : "works");
	printf("\n");
}

static int show(const struct ctl *ctl, const struct report_key *items, size_t n, struct err *err)
{
	size_t i;

	if (ctl->json)
		return report_keys(stdout, items, n, err);
	for (i = 0; i < n; i++)
		print_key(&items[i]);
	return 0;
}

int ctl_keys_list(struct ctl *ctl, struct err *err)
{
	struct report_key *items = NULL;
	size_t n = 0;

	if (ctl_site(ctl, err) != 0 || find(ctl, NULL, &items, &n, err) != 0)
		return -1;
	return show(ctl, items, n, err);
}

/* Fills failure of each; false when one failed. */
static int test_all(struct arena *arena, struct report_key *items, size_t n, bool *works, struct err *err)
{
	struct err why;
	size_t i;

	*works = true;
	for (i = 0; i < n; i++) {
		items[i].tested = true;
		if (key_test(items[i].key, &why) == 0)
			continue;
		*works = false;
		items[i].failure = arena_strdup(arena, why.text);
		if (items[i].failure == NULL)
			return err_memory(err);
	}
	return 0;
}

int ctl_keys_test(struct ctl *ctl, struct err *err)
{
	const bool one = ctl->args.operands.n > 0;
	struct report_key *items = NULL;
	struct address address;
	bool works = false;
	size_t n = 0;

	if (one && ctl_address(ctl, ctl->args.operands.items[0], &address) != 0)
		return CTL_USAGE;
	if (ctl_site(ctl, err) != 0 || find(ctl, one ? &address : NULL, &items, &n, err) != 0 ||
	    test_all(ctl->arena, items, n, &works, err) != 0 || show(ctl, items, n, err) != 0)
		return -1;
	if (n == 0)
		fprintf(stderr, "no key%s%s\n", one ? " for " : "", one ? ctl->args.operands.items[0] : "");
	return n > 0 && works ? CTL_DONE : CTL_NOT_PASSED;
}
