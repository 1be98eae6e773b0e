/* directory_smimea.c - certificates from the DNS (RFC 8162). Proven by DNSSEC they are found, proven to be missing they
 * are none; what stands in a zone that is not signed is none, since nobody may believe it; all else could not be asked.
 * What records without a certificate say goes along for candidate.c. Who asks is dnssec.c, what records are smimea.c.
 * Called through directory.h, where libunbound is. Thread-safe: nothing here changes after the start.
 */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "pki/directory_driver.h"
#include "pki/dnssec.h"

#define TYPE_SOA 6
#define ANCHORS_BYTES 65536
#define DATA_SHOWN 16			/* bytes of a record that has no certificate */

/* directories = ( { type = "smimea"; resolver = "127.0.0.1@5300"; } ); */
struct smimea_settings {
	struct directory_settings common;	/* cache_s, negative_cache_s: preset 0, the resolver remembers */
	const char *trust_anchor_file;
	struct conf_strings resolver;
	int64_t timeout_ms;
};

struct smimea_directory {
	struct dnssec *resolver;
	const struct clock *clock;
	int64_t timeout_ms;
};

struct person {				/* what is asked for one address; all NULL: it can have no record */
	const struct dns_question *given, *lower;	/* lower NULL: the same */
	const struct dns_question *zone;	/* is its domain signed? Unsigned ones may have servers that fail at
						   types they do not know, and owe nobody a proof */
};

struct asking {
	struct arena *arena;
	const struct address *addresses;
	struct person *people;
	struct dns_question *questions;
	size_t n;			/* questions */
};

static bool has_name(const struct address *address)
{
	return address->domain.n > 0 && address->domain.p[0] != '[';
}

static const struct dns_question *add_question(struct asking *a, const char *name, int type)
{
	struct dns_question *question = &a->questions[a->n++];

	*question = (struct dns_question){ .name = name, .type = type, .status = DNS_FAILED };
	return question;
}

/* RFC 8162 3 leaves the case of the local part alone, whereas people do not. */
static int add_names(struct asking *a, size_t i, struct err *err)
{
	const char *given, *lower;

	if (!has_name(&a->addresses[i]))
		return 0;
	given = smimea_owner(a->arena, &a->addresses[i], false, err);
	lower = smimea_owner(a->arena, &a->addresses[i], true, err);
	if (given == NULL || lower == NULL)
		return -1;
	a->people[i].given = add_question(a, given, SMIMEA_TYPE);
	if (strcmp(given, lower) != 0)
		a->people[i].lower = add_question(a, lower, SMIMEA_TYPE);
	return 0;
}

/* Once for each domain. */
static int add_zone(struct asking *a, size_t i, struct err *err)
{
	const char *name;

	if (a->people[i].given == NULL)
		return 0;
	for (size_t k = 0; k < i; k++)
		if (a->people[k].zone != NULL && slice_equal(a->addresses[k].domain, a->addresses[i].domain)) {
			a->people[i].zone = a->people[k].zone;
			return 0;
		}
	name = arena_string(a->arena, a->addresses[i].domain);
	if (name == NULL)
		return err_memory(err);
	a->people[i].zone = add_question(a, name, TYPE_SOA);
	return 0;
}

/* A note on one record: what it says that is of no use, or not alone. */
static int add_note(struct asking *a, struct directory_answer *answer, const struct smimea *record, const char *why)
{
	const char *text = smimea_text(a->arena, record, DATA_SHOWN);

	text = text == NULL ? NULL : arena_printf(a->arena, "SMIMEA %s: %s", text, why);
	return text == NULL ? -1 : directory_answer_problem(a->arena, answer, text);
}

/* A record with a whole certificate. 0, -1: memory; *good: it is one. */
static int add_cert(struct asking *a, struct directory_answer *answer, const struct smimea *record, bool *good)
{
	struct directory_entry entry = { .value = answer->association_count };
	struct err why;
	int rc = -1;

	entry.cert = cert_from_der(record->data, &why);
	*good = entry.cert != NULL;
	if (entry.cert == NULL)
		return why.class == ERR_TEMP ? -1 : add_note(a, answer, record, why.text);
	entry.attribute = arena_printf(a->arena, "SMIMEA %d 0 0", (int)record->usage);
	if (smimea_is_person(record))
		rc = entry.attribute == NULL ? -1 : directory_answer_add(a->arena, answer, &entry);
	else if (directory_answer_chain(a->arena, answer, entry.cert) == 0)
		rc = add_note(a, answer, record, "a CA's");
	cert_free(entry.cert);
	return rc;
}

static int add_record(struct asking *a, struct directory_answer *answer, struct smimea *associations,
		      struct slice rdata)
{
	struct smimea *record = &associations[answer->association_count];
	const char *problem = smimea_parse(rdata, record);
	bool good = true;
	int rc;

	if (problem != NULL) {
		problem = arena_printf(a->arena, "SMIMEA: %s", problem);
		return problem == NULL ? -1 : directory_answer_problem(a->arena, answer, problem);
	}
	if (record->selector == SMIMEA_CERT && record->matching == SMIMEA_FULL)
		rc = add_cert(a, answer, record, &good);
	else
		rc = add_note(a, answer, record, "no certificate in it");
	if (good)
		answer->association_count++;
	return rc;
}

static int read_records(struct asking *a, const struct dns_question *question, struct directory_answer *answer)
{
	struct smimea *associations = arena_array(a->arena, question->n, sizeof(*associations));

	if (associations == NULL)
		return -1;
	answer->associations = associations;
	for (size_t i = 0; i < question->n; i++)
		if (add_record(a, answer, associations, question->data[i]) != 0)
			return -1;
	return 0;
}

/* The form that was given comes first, and where it says something, alone. */
static const struct dns_question *speaker(const struct person *person)
{
	bool silent = person->given->status == DNS_NONE || person->given->status == DNS_UNSIGNED;

	return silent && person->lower != NULL ? person->lower : person->given;
}

/* Through an alias the answer would be about another name than those below the domain. */
static bool is_unsigned(const struct person *person, const struct dns_question *question)
{
	if (question->status == DNS_FAILED)
		return person->zone->status == DNS_UNSIGNED && !person->zone->aliased;
	return question->status == DNS_UNSIGNED;
}

static int answer_one(struct asking *a, const struct person *person, struct directory_answer *answer)
{
	const struct dns_question *question;

	*answer = (struct directory_answer){ .status = DIRECTORY_NONE };
	if (person->given == NULL)
		return 0;
	question = speaker(person);
	if (is_unsigned(person, question))
		return directory_answer_problem(a->arena, answer, "the zone is not signed");
	if (question->status == DNS_FAILED)
		return directory_answer_fail(a->arena, answer, question->failure);
	return question->status == DNS_FOUND ? read_records(a, question, answer) : 0;
}

static int64_t deadline_of(const struct smimea_directory *smimea, int64_t deadline_ms)
{
	int64_t own_ms = clock_monotonic_ms(smimea->clock) + smimea->timeout_ms;

	return own_ms < deadline_ms ? own_ms : deadline_ms;
}

static int smimea_find(void *self, struct arena *arena, const struct address *addresses, size_t n, int64_t deadline_ms,
		       struct directory_answer *answers, struct err *err)
{
	struct smimea_directory *smimea = self;
	struct asking a = { .arena = arena, .addresses = addresses };
	size_t needed;

	a.people = arena_array(arena, n, sizeof(*a.people));
	a.questions = arena_array(arena, 3 * n, sizeof(*a.questions));
	if (a.people == NULL || a.questions == NULL)
		return err_memory(err);
	for (size_t i = 0; i < n; i++)
		if (add_names(&a, i, err) != 0)
			return -1;
	needed = a.n;
	for (size_t i = 0; i < n; i++)
		if (add_zone(&a, i, err) != 0)
			return -1;
	if (dnssec_ask(smimea->resolver, arena, a.questions, a.n, needed, deadline_of(smimea, deadline_ms), err) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (answer_one(&a, &a.people[i], &answers[i]) != 0)
			return err_memory(err);
	return 0;
}

static int smimea_probe(void *self, struct err *err)
{
	struct smimea_directory *smimea = self;

	return dnssec_probe(smimea->resolver, deadline_of(smimea, INT64_MAX), err);
}

static void smimea_free(void *self)
{
	struct smimea_directory *smimea = self;

	dnssec_free(smimea->resolver);
	free(smimea);
}

static const struct directory_class smimea_class = { .find = smimea_find, .probe = smimea_probe, .free = smimea_free };

static int check_addresses(const struct smimea_settings *given, struct conf *conf, struct err *err)
{
	for (size_t i = 0; i < given->resolver.n; i++)
		if (!dnssec_may_ask(given->resolver.items[i]))
			return conf_finding(conf, &given->resolver.items[i], err,
					    "resolver: \"%s\" is no ADDRESS or ADDRESS@PORT", given->resolver.items[i]);
	return 0;
}

/* NULL: a finding, or memory in *err. */
static struct dnssec *open_resolver(const struct smimea_settings *given, struct conf *conf, const struct clock *clock,
				      struct err *err)
{
	struct dnssec_settings settings = { .addresses = &given->resolver, .clock = clock };
	struct dnssec *resolver = NULL;
	struct buf anchors;
	struct err why;

	buf_init(&anchors, 0);
	if (file_read_trusted(given->trust_anchor_file, ANCHORS_BYTES, &anchors, &why) == 0) {
		settings.anchors = buf_slice(&anchors);
		resolver = dnssec_new(&settings, &why);
		if (resolver == NULL)
			err_prefix(&why, "%s", given->trust_anchor_file);
	}
	if (resolver == NULL && why.class == ERR_CONFIG)
		conf_finding(conf, &given->trust_anchor_file, err, "trust_anchor_file: %s", why.text);
	else if (resolver == NULL)
		err_set(err, why.class, "%s", why.text);
	buf_clear(&anchors);
	return resolver;
}

static int smimea_open(const void *settings, struct conf *conf, const struct conf_report *report,
		       const struct directory_env *env, struct directory *directory, struct err *err)
{
	const struct smimea_settings *given = settings;
	struct smimea_directory *smimea = NULL;

	(void)report;
	if (check_addresses(given, conf, err) != 0)
		return -1;
	directory->name = given->resolver.n == 0 ? "smimea" :
						   arena_printf(env->arena, "smimea:%s", given->resolver.items[0]);
	smimea = calloc(1, sizeof(*smimea));
	if (smimea == NULL || directory->name == NULL) {
		free(smimea);
		return err_memory(err);
	}
	smimea->clock = env->clock;
	smimea->timeout_ms = given->timeout_ms;
	smimea->resolver = open_resolver(given, conf, env->clock, err);
	if (smimea->resolver == NULL) {
		free(smimea);
		return -1;
	}
	directory->by_association = true;
	directory->timeout_ms = given->timeout_ms;
	directory->class = &smimea_class;
	directory->self = smimea;
	return 0;
}

#define ROW(member, kind) .name = #member, .type = kind, .offset = offsetof(struct smimea_settings, member)

static const struct conf_row smimea_rows[] = {
	DIRECTORY_ROWS(struct smimea_settings, "0", "0", "0"),
	{ ROW(trust_anchor_file, CONF_STRING), .preset = "/usr/share/dns/root.key" },
	{ ROW(resolver, CONF_STRINGS) },
	{ ROW(timeout_ms, CONF_INT), .preset = "5000", .min = 10, .max = 600000 },
	{ .name = NULL }
};

static const struct conf_table smimea_table = { .rows = smimea_rows, .size = sizeof(struct smimea_settings) };

const struct directory_driver directory_smimea_driver = {
	.type = "smimea", .table = &smimea_table, .open = smimea_open
};
