/* conf.c - fills settings structs from a libconfig file by tables of rows. The only file that knows libconfig; what
 * the keys mean is their owners' matter. Called by gate (site) and milter when the configuration is read; the result
 * is immutable then and may be used by any thread. The text itself: conf_text.c.
 */
#include "base/conf.h"

#include <errno.h>
#include <libconfig.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/conf_text.h"
#include "base/crypt.h"
#include "base/slice.h"

#define ENUMS_MOST (sizeof(((struct conf_enums *)NULL)->items) / sizeof(int))

/* Where the value of a member stood. A group shares its address with its first key, which was noted later. */
struct place {
	const void *member;
	size_t order;
	const char *where;
	bool given;
};

struct conf {
	struct arena *arena;
	struct conf_text text;
	struct buf places;		/* struct place, sorted once all are there */
	const char *top;		/* where the file begins */
	char sha256[2 * CRYPT_SHA256_BYTES + 1];
	struct conf_report report;
	size_t findings;
	struct err first;		/* finding */
};

/* A value that no other group of its list may have. */
struct unique {
	const config_setting_t *list;
	const char *name, *value, *where;
};

struct load {
	struct conf *conf;
	struct buf uniques;	/* struct unique */
	bool no_memory;
};

static const char *const type_names[] = {
	[CONFIG_TYPE_NONE] = "nothing",		[CONFIG_TYPE_GROUP] = "a group { }",
	[CONFIG_TYPE_INT] = "an integer",	[CONFIG_TYPE_INT64] = "an integer",
	[CONFIG_TYPE_FLOAT] = "a fraction",	[CONFIG_TYPE_STRING] = "a string",
	[CONFIG_TYPE_BOOL] = "true or false",	[CONFIG_TYPE_ARRAY] = "a list",
	[CONFIG_TYPE_LIST] = "a list",
};

static void fill_group(struct load *load, const struct conf_table *table, const config_setting_t *group,
		       const char *where, void *base);

/* --- findings and places --- */

static void report(struct conf *conf, const struct err *finding)
{
	if (conf->findings++ == 0)
		conf->first = *finding;
	if (conf->report.finding != NULL)
		conf->report.finding(conf->report.self, finding->text);
}

static void finding_at(struct conf *conf, struct err *err, const char *where, const char *format, va_list args)
{
	char text[sizeof(err->text)];

	if (vsnprintf(text, sizeof(text), format, args) < 0)
		text[0] = '\0';
	err_set(err, ERR_CONFIG, "%s: %s", where, text);
	report(conf, err);
}

__attribute__((format(printf, 3, 4)))
static void finding(struct load *load, const char *where, const char *format, ...)
{
	struct err err;
	va_list args;

	va_start(args, format);
	finding_at(load->conf, &err, where, format, args);
	va_end(args);
}

int conf_finding(struct conf *conf, const void *member, struct err *err, const char *format, ...)
{
	struct err own;
	va_list args;

	va_start(args, format);
	finding_at(conf, &own, conf_where(conf, member), format, args);
	va_end(args);
	if (err != NULL)
		*err = conf->first;
	return -1;
}

int conf_finding_at(struct conf *conf, const char *where, struct err *err, const char *format, ...)
{
	struct err own;
	va_list args;

	va_start(args, format);
	finding_at(conf, &own, where, format, args);
	va_end(args);
	if (err != NULL)
		*err = conf->first;
	return -1;
}

static void note(struct load *load, const void *member, const char *where, bool given)
{
	struct place place = { .member = member, .where = where, .given = given,
			       .order = load->conf->places.n / sizeof(place) };

	if (buf_append(&load->conf->places, &place, sizeof(place)) != 0)
		load->no_memory = true;
}

static int by_address(const void *a, const void *b)
{
	const struct place *one = a, *other = b;

	if (one->member != other->member)
		return (uintptr_t)one->member < (uintptr_t)other->member ? -1 : 1;
	return one->order < other->order ? -1 : one->order > other->order;
}

/* The last place noted for the member, NULL: it is none of ours. */
static const struct place *find_place(const struct conf *conf, const void *member)
{
	const struct place *places = (const struct place *)(const void *)conf->places.p;
	size_t low = 0, high = conf->places.n / sizeof(*places);

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if ((uintptr_t)places[middle].member <= (uintptr_t)member)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 && places[low - 1].member == member ? &places[low - 1] : NULL;
}

const char *conf_where(const struct conf *conf, const void *member)
{
	const struct place *place = find_place(conf, member);

	return place == NULL ? conf->top : place->where;
}

bool conf_given(const struct conf *conf, const void *member)
{
	const struct place *place = find_place(conf, member);

	return place != NULL && place->given;
}

const char *conf_sha256(const struct conf *conf)
{
	return conf->sha256;
}

/* --- settings as libconfig has them --- */

static const struct conf_token *token_of(const config_setting_t *setting)
{
	return config_setting_get_hook(setting);
}

static const char *where_of(struct load *load, const config_setting_t *setting)
{
	size_t line = config_setting_source_line(setting);

	/* For a string in a list libconfig tells the line of what follows it. */
	if (setting->name == NULL && token_of(setting) != NULL)
		line = token_of(setting)->line + 1;
	return conf_text_place(&load->conf->text, line == 0 ? 0 : line - 1);
}

static void wrong_type(struct load *load, const char *name, const config_setting_t *setting, const char *wanted)
{
	finding(load, where_of(load, setting), "%s must be %s, not %s", name, wanted,
		type_names[config_setting_type(setting)]);
}

/* Copies a string; NULL (reported) if the setting is none or it holds what belongs in no line. */
static const char *string_of(struct load *load, const char *name, const config_setting_t *setting)
{
	const char *text, *copy;
	bool harmless = true;

	if (config_setting_type(setting) != CONFIG_TYPE_STRING) {
		wrong_type(load, name, setting, "a string");
		return NULL;
	}
	text = config_setting_get_string(setting);
	for (const char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			harmless = false;
	if (!harmless || token_of(setting)->nul) {
		finding(load, where_of(load, setting), "%s holds a control character", name);
		return NULL;
	}
	copy = arena_strdup(load->conf->arena, text);
	if (copy == NULL)
		load->no_memory = true;
	return copy;
}

/* Index in names, -1: reported. */
static int name_index(struct load *load, const struct conf_row *row, const char *where, const char *text)
{
	const char *near;
	char known[256] = "";
	size_t used = 0;

	for (int i = 0; row->names[i] != NULL; i++) {
		if (strcmp(row->names[i], text) == 0)
			return i;
		if (used < sizeof(known))
			used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", i == 0 ? "" : ", ",
						 row->names[i]);
	}
	near = conf_nearest(text, row->names);
	finding(load, where, "%s = \"%s\" is none of %s%s%s%s", row->name, text, known,
		near == NULL ? "" : "; did you mean \"", near == NULL ? "" : near, near == NULL ? "" : "\"?");
	return -1;
}

/* --- one row, one value --- */

static void read_string(struct load *load, const struct conf_row *row, const config_setting_t *setting, void *member)
{
	const char **value = member;

	*value = string_of(load, row->name, setting);
}

static void read_bool(struct load *load, const struct conf_row *row, const config_setting_t *setting, void *member)
{
	bool *value = member;

	if (config_setting_type(setting) == CONFIG_TYPE_BOOL)
		*value = config_setting_get_bool(setting) == CONFIG_TRUE;
	else
		wrong_type(load, row->name, setting, "true or false");
}

/* The number as written, since libconfig's value may have wrapped. 0, or -1 with errno ERANGE or EINVAL. */
static int parse_integer(struct slice written, int64_t *value)
{
	char digits[64], *end = NULL;
	const char *first = digits;
	int base = 10;

	errno = EINVAL;
	while (written.n > 0 && ascii_tolower(written.p[written.n - 1]) == 'l')
		written.n--;
	if (written.n >= sizeof(digits)) {
		errno = ERANGE;
		return -1;
	}
	if (written.n > 0)
		memcpy(digits, written.p, written.n);
	digits[written.n] = '\0';
	if (*first == '-' || *first == '+')
		first++;
	if (first[0] == '0' && ascii_tolower(first[1]) == 'x')
		base = 16;
	/* A leading 0 is octal for some readers and not for others. */
	else if (first[0] == '0' && first[1] != '\0')
		return -1;
	errno = 0;
	*value = strtoll(digits, &end, base);
	if (*end != '\0' || end == digits)
		errno = EINVAL;
	return errno == 0 ? 0 : -1;
}

static void read_int(struct load *load, const struct conf_row *row, const config_setting_t *setting, void *member)
{
	int64_t *value = member, min = row->min, max = row->max, number = 0;
	int type = config_setting_type(setting);
	struct slice written;

	if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64) {
		wrong_type(load, row->name, setting, "an integer");
		return;
	}
	if (min == 0 && max == 0)
		max = INT32_MAX;
	written = conf_text_of(&load->conf->text, token_of(setting));
	if (parse_integer(written, &number) != 0 && errno == EINVAL)
		finding(load, where_of(load, setting), "%s = %.*s is not a plain integer", row->name,
			SLICE_ARGS(slice_first(written, 40)));
	else if (errno == ERANGE || number < min || number > max)
		finding(load, where_of(load, setting), "%s = %.*s is out of range (%lld to %lld)", row->name,
			SLICE_ARGS(slice_first(written, 40)), (long long)min, (long long)max);
	else
		*value = number;
}

/* `key = true` is fine where "true" is one of the names. */
static const char *enum_text(struct load *load, const struct conf_row *row, const config_setting_t *setting)
{
	if (config_setting_type(setting) != CONFIG_TYPE_BOOL)
		return string_of(load, row->name, setting);
	for (int i = 0; row->names[i] != NULL; i++)
		if (strcmp(row->names[i], "true") == 0)
			return config_setting_get_bool(setting) == CONFIG_TRUE ? "true" : "false";
	wrong_type(load, row->name, setting, "a string");
	return NULL;
}

static void read_enum(struct load *load, const struct conf_row *row, const config_setting_t *setting, void *member)
{
	const char *text = enum_text(load, row, setting);
	int *value = member;

	if (text != NULL)
		*value = name_index(load, row, where_of(load, setting), text);
}

/* How many strings a list of strings has; a single string is a list of one. -1: reported. */
static int list_length(struct load *load, const struct conf_row *row, const config_setting_t *setting)
{
	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_STRING:
		return 1;
	case CONFIG_TYPE_ARRAY:
	case CONFIG_TYPE_LIST:
		return config_setting_length(setting);
	default:
		wrong_type(load, row->name, setting, "a list of strings");
		return -1;
	}
}

static const config_setting_t *list_item(const config_setting_t *setting, int index)
{
	if (config_setting_type(setting) == CONFIG_TYPE_STRING)
		return setting;
	return config_setting_get_elem(setting, (unsigned int)index);
}

static void read_strings(struct load *load, const struct conf_row *row, const config_setting_t *setting, void *member)
{
	struct conf_strings *value = member;
	int n = list_length(load, row, setting);

	if (n <= 0)
		return;
	value->items = arena_array(load->conf->arena, (size_t)n, sizeof(*value->items));
	if (value->items == NULL) {
		load->no_memory = true;
		return;
	}
	for (int i = 0; i < n; i++) {
		const config_setting_t *item = list_item(setting, i);

		value->items[i] = string_of(load, row->name, item);
		note(load, &value->items[i], where_of(load, item), true);
	}
	value->n = (size_t)n;
}

static void add_enum(struct load *load, const struct conf_row *row, const char *where, const char *text,
		     struct conf_enums *value)
{
	int index = text == NULL ? -1 : name_index(load, row, where, text);

	if (index < 0)
		return;
	for (size_t i = 0; i < value->n; i++)
		if (value->items[i] == index) {
			finding(load, where, "%s has \"%s\" twice", row->name, text);
			return;
		}
	if (value->n == ENUMS_MOST)
		return;
	note(load, &value->items[value->n], where, true);
	value->items[value->n++] = index;
}

static void read_enums(struct load *load, const struct conf_row *row, const config_setting_t *setting, void *member)
{
	struct conf_enums *value = member;
	int n = list_length(load, row, setting);

	for (int i = 0; i < n; i++) {
		const config_setting_t *item = list_item(setting, i);

		add_enum(load, row, where_of(load, item), string_of(load, row->name, item), value);
	}
}

static void read_group(struct load *load, const struct conf_row *row, const config_setting_t *setting, void *member)
{
	if (config_setting_type(setting) == CONFIG_TYPE_GROUP)
		fill_group(load, row->table, setting, where_of(load, setting), member);
	else
		wrong_type(load, row->name, setting, "a group { }");
}

/* A type that later versions have is no typing error. */
static bool is_later(struct load *load, const struct conf_variant *variants, const char *where, const char *text)
{
	for (; variants->type != NULL; variants++)
		if (variants->table == NULL && strcmp(variants->type, text) == 0) {
			finding(load, where, "type = \"%s\": known, but not available in this version", text);
			return true;
		}
	return false;
}

/* The table for a group of a list, chosen by its "type" where there are several. NULL: reported. */
static const struct conf_table *table_for(struct load *load, const struct conf_row *row, config_setting_t *group)
{
	const char *names[ENUMS_MOST + 1] = { NULL };
	const struct conf_table *tables[ENUMS_MOST];
	struct conf_row type_row = { .name = "type", .names = names };
	const struct conf_variant *variant;
	config_setting_t *type;
	const char *text;
	size_t n = 0;
	int index;

	if (row->variants == NULL)
		return row->table;
	for (variant = row->variants; n < ENUMS_MOST && variant->type != NULL; variant++)
		if (variant->table != NULL) {
			names[n] = variant->type;
			tables[n++] = variant->table;
		}
	type = config_setting_get_member(group, "type");
	if (type == NULL) {
		finding(load, where_of(load, group), "a group in %s needs the key \"type\"", row->name);
		return NULL;
	}
	text = string_of(load, "type", type);
	if (text == NULL || is_later(load, row->variants, where_of(load, type), text))
		return NULL;
	index = name_index(load, &type_row, where_of(load, type), text);
	return index < 0 ? NULL : tables[index];
}

static void check_unique(struct load *load, const config_setting_t *list, const struct conf_row *row,
			 const config_setting_t *group, const char *value)
{
	struct unique *known = (struct unique *)(void *)load->uniques.p;
	config_setting_t *setting = config_setting_get_member(group, row->name);
	struct unique own = { .list = list, .name = row->name, .value = value };

	if (value == NULL || setting == NULL)
		return;
	own.where = where_of(load, setting);
	for (size_t i = 0; i < load->uniques.n / sizeof(own); i++)
		if (known[i].list == list && strcmp(known[i].name, own.name) == 0 &&
		    strcmp(known[i].value, value) == 0) {
			finding(load, own.where, "duplicate %s \"%s\", first at %s", row->name, value, known[i].where);
			return;
		}
	if (buf_append(&load->uniques, &own, sizeof(own)) != 0)
		load->no_memory = true;
}

static void *read_member(struct load *load, const struct conf_row *row, const config_setting_t *list,
			 config_setting_t *group)
{
	const struct conf_table *table;
	void *base;

	if (config_setting_type(group) != CONFIG_TYPE_GROUP) {
		finding(load, where_of(load, group), "%s: each member must be a group { }, not %s", row->name,
			type_names[config_setting_type(group)]);
		return NULL;
	}
	table = table_for(load, row, group);
	if (table == NULL)
		return NULL;
	base = arena_alloc(load->conf->arena, table->size);
	if (base == NULL) {
		load->no_memory = true;
		return NULL;
	}
	note(load, base, where_of(load, group), true);
	fill_group(load, table, group, where_of(load, group), base);
	for (const struct conf_row *r = table->rows; r->name != NULL; r++)
		if (r->unique && r->type == CONF_STRING)
			check_unique(load, list, r, group, *(const char **)(void *)((char *)base + r->offset));
	return base;
}

static void read_groups(struct load *load, const struct conf_row *row, const config_setting_t *setting, void *member)
{
	struct conf_groups *value = member;
	int type = config_setting_type(setting), n;

	if (type != CONFIG_TYPE_LIST && type != CONFIG_TYPE_ARRAY) {
		wrong_type(load, row->name, setting, "a list of groups ( { }, { } )");
		return;
	}
	n = config_setting_length(setting);
	if (n == 0)
		return;
	value->items = arena_array(load->conf->arena, (size_t)n, sizeof(*value->items));
	if (value->items == NULL) {
		load->no_memory = true;
		return;
	}
	for (int i = 0; i < n; i++)
		value->items[i] = read_member(load, row, setting, config_setting_get_elem(setting, (unsigned int)i));
	value->n = (size_t)n;
}

static void (*const readers[])(struct load *, const struct conf_row *, const config_setting_t *, void *) = {
	[CONF_STRING] = read_string,	[CONF_INT] = read_int,		[CONF_BOOL] = read_bool,
	[CONF_ENUM] = read_enum,	[CONF_ENUMS] = read_enums,	[CONF_STRINGS] = read_strings,
	[CONF_GROUP] = read_group,	[CONF_GROUPS] = read_groups,
};

/* --- defaults --- */

/* Cuts the next blank-separated word off text; n == 0: none left. */
static struct slice next_word(struct slice *text)
{
	struct slice word;
	long blank;

	*text = slice_trim(*text);
	blank = slice_find(*text, ' ');
	word = slice_first(*text, blank < 0 ? text->n : (size_t)blank);
	*text = slice_from(*text, word.n);
	return word;
}

static void preset_enums(struct load *load, const struct conf_row *row, const char *where, struct conf_enums *value)
{
	struct slice rest = slice_of(row->preset), word;
	const char *name;
	int index;

	while ((word = next_word(&rest)).n > 0 && value->n < ENUMS_MOST) {
		name = arena_string(load->conf->arena, word);
		index = name == NULL ? -1 : name_index(load, row, where, name);
		if (index >= 0)
			value->items[value->n++] = index;
	}
}

static void preset_strings(struct load *load, const struct conf_row *row, struct conf_strings *value)
{
	struct slice rest = slice_of(row->preset), word;
	size_t most = (rest.n + 1) / 2;

	if (most == 0)
		return;
	value->items = arena_array(load->conf->arena, most, sizeof(*value->items));
	while (value->items != NULL && (word = next_word(&rest)).n > 0) {
		value->items[value->n] = arena_string(load->conf->arena, word);
		if (value->items[value->n++] == NULL)
			load->no_memory = true;
	}
	if (value->items == NULL)
		load->no_memory = true;
}

/* What stands where the file says nothing; the member is zero so far. */
static void preset(struct load *load, const struct conf_row *row, const char *where, void *member)
{
	const char *text = row->preset;

	switch (row->type) {
	case CONF_STRING:
		*(const char **)member = text;
		break;
	case CONF_INT:
		*(int64_t *)member = text == NULL ? 0 : strtoll(text, NULL, 10);
		break;
	case CONF_BOOL:
		*(bool *)member = text != NULL && strcmp(text, "true") == 0;
		break;
	case CONF_ENUM:
		*(int *)member = text == NULL ? 0 : name_index(load, row, where, text);
		break;
	case CONF_ENUMS:
		preset_enums(load, row, where, member);
		break;
	case CONF_STRINGS:
		preset_strings(load, row, member);
		break;
	case CONF_GROUP:
		fill_group(load, row->table, NULL, where, member);
		break;
	case CONF_GROUPS:
		break;
	}
}

/* --- groups --- */

static void unknown_key(struct load *load, const struct conf_table *table, const config_setting_t *setting)
{
	const char **names, *near;
	size_t n = 0;

	while (table->rows[n].name != NULL)
		n++;
	names = arena_array(load->conf->arena, n + 1, sizeof(*names));
	if (names == NULL) {
		load->no_memory = true;
		return;
	}
	for (size_t i = 0; i < n; i++)
		names[i] = table->rows[i].name;
	near = conf_nearest(setting->name, names);
	finding(load, where_of(load, setting), "unknown key \"%s\"%s%s%s", setting->name,
		near == NULL ? "" : "; did you mean \"", near == NULL ? "" : near, near == NULL ? "" : "\"?");
}

static bool is_known(const struct conf_table *table, const char *name)
{
	for (const struct conf_row *row = table->rows; row->name != NULL; row++)
		if (strcmp(row->name, name) == 0)
			return true;
	return false;
}

/* group NULL: all defaults, and nothing is missing, for the group itself may be left out. */
static void fill_group(struct load *load, const struct conf_table *table, const config_setting_t *group,
		       const char *where, void *base)
{
	for (int i = 0; group != NULL && i < config_setting_length(group); i++) {
		const config_setting_t *setting = config_setting_get_elem(group, (unsigned int)i);

		if (!is_known(table, setting->name))
			unknown_key(load, table, setting);
	}
	for (const struct conf_row *row = table->rows; row->name != NULL; row++) {
		config_setting_t *setting = group == NULL ? NULL : config_setting_get_member(group, row->name);
		void *member = (char *)base + row->offset;

		note(load, member, setting == NULL ? where : where_of(load, setting), setting != NULL);
		if (setting != NULL)
			readers[row->type](load, row, setting, member);
		else
			preset(load, row, where, member);
		if (setting == NULL && group != NULL && row->required)
			finding(load, where, "key \"%s\" is missing", row->name);
	}
}

/* --- the whole --- */

static void parse_finding(struct load *load, const config_t *config)
{
	size_t line = config_error_line(config) > 0 ? (size_t)config_error_line(config) - 1 : 0;
	const char *where = conf_text_place(&load->conf->text, line);
	const char *text = config_error_text(config) == NULL ? "cannot be read" : config_error_text(config);
	struct slice key = conf_text_key(&load->conf->text, line);

	/* libconfig's text; only for a duplicate key can the line say which one it is. */
	if (strstr(text, "duplicate") != NULL && key.n > 0)
		finding(load, where, "%s \"%.*s\"", text, SLICE_ARGS(slice_first(key, 64)));
	else
		finding(load, where, "%s", text);
}

static enum conf_token_kind kind_of(const config_setting_t *setting)
{
	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
	case CONFIG_TYPE_FLOAT:
		return CONF_TOKEN_NUMBER;
	case CONFIG_TYPE_STRING:
		return CONF_TOKEN_TEXT;
	default:
		return CONF_TOKEN_NAME;
	}
}

/* Gives each number and string the token it was written as: both come in the order of the text. *next: the token to
 * look at. -1: they do not agree. */
static int attach(const struct conf_text *text, config_setting_t *setting, size_t *next)
{
	enum conf_token_kind kind = kind_of(setting);
	size_t count = conf_text_token_count(text);

	if (config_setting_is_aggregate(setting)) {
		for (int i = 0; i < config_setting_length(setting); i++)
			if (attach(text, config_setting_get_elem(setting, (unsigned int)i), next) != 0)
				return -1;
		return 0;
	}
	if (kind == CONF_TOKEN_NAME)
		return 0;
	while (*next < count && conf_text_token(text, *next)->kind == CONF_TOKEN_NAME)
		(*next)++;
	if (*next == count || conf_text_token(text, *next)->kind != kind)
		return -1;
	/* The hook is void *, though nobody writes through it. */
	config_setting_set_hook(setting, (void *)(uintptr_t)conf_text_token(text, *next));
	(*next)++;
	return 0;
}

/* The text as libconfig gets it: a number beyond 64 bits, at which some versions wrap and others see a syntax error, is
 * a 0 there; what was written is looked at by read_int. NULL: no memory. */
static char *parsable_text(const struct conf_text *text, struct buf *copy)
{
	const struct conf_token *token = NULL;
	int64_t ignored = 0;

	if (buf_append_slice(copy, buf_slice(&text->text)) != 0)
		return NULL;
	for (size_t i = 0; i < conf_text_token_count(text); i++) {
		token = conf_text_token(text, i);
		if (token->kind != CONF_TOKEN_NUMBER || parse_integer(conf_text_of(text, token), &ignored) == 0 ||
		    errno != ERANGE)
			continue;
		memset(copy->p + token->offset, ' ', token->n);
		copy->p[token->offset] = '0';
	}
	return buf_string(copy);
}

static bool read_text(struct load *load, config_t *config)
{
	struct buf copy;
	const char *text = NULL;
	bool read = false;

	buf_init(&copy, 0);
	text = parsable_text(&load->conf->text, &copy);
	if (text == NULL)
		load->no_memory = true;
	else
		read = config_read_string(config, text) == CONFIG_TRUE;
	buf_clear(&copy);
	return read;
}

static void parse(struct load *load, config_t *config, const struct conf_table *top, void *settings)
{
	config_setting_t *root;
	size_t next = 0;

	if (!read_text(load, config)) {
		if (load->no_memory)
			return;
		parse_finding(load, config);
		return;
	}
	root = config_root_setting(config);
	if (attach(&load->conf->text, root, &next) != 0) {
		finding(load, load->conf->top, "numbers and strings cannot be told apart");
		return;
	}
	fill_group(load, top, root, load->conf->top, settings);
}

static struct conf *new_conf(const struct conf_report *to)
{
	struct conf *conf = calloc(1, sizeof(*conf));

	if (conf == NULL)
		return NULL;
	conf->arena = arena_new(0);
	if (conf->arena == NULL) {
		free(conf);
		return NULL;
	}
	conf_text_init(&conf->text, conf->arena);
	buf_init(&conf->places, 0);
	if (to != NULL)
		conf->report = *to;
	return conf;
}

/* Reads text and settings; every fault is a finding afterwards, or load->no_memory. */
static void load_all(struct load *load, const char *path, const struct conf_table *top, void *settings)
{
	struct conf *conf = load->conf;
	unsigned char digest[CRYPT_SHA256_BYTES];
	config_t config;
	struct err err;

	if (conf_text_read(&conf->text, path, &err) != 0) {
		report(conf, &err);
		return;
	}
	conf->top = conf_text_place(&conf->text, 0);
	if (crypt_sha256(conf->text.text.p, conf->text.text.n, digest, NULL) == 0)
		crypt_hex(digest, sizeof(digest), conf->sha256);
	config_init(&config);
	parse(load, &config, top, settings);
	config_destroy(&config);
	conf_text_clear(&conf->text);	/* the places live on in the arena */
	if (conf->places.n > 0)
		qsort(conf->places.p, conf->places.n / sizeof(struct place), sizeof(struct place), by_address);
}

int conf_load(const char *path, const struct conf_table *top, void *settings, const struct conf_report *report_to,
	      struct conf **conf, struct err *err)
{
	struct load load = { .conf = new_conf(report_to) };
	int rc = -1;

	*conf = NULL;
	if (load.conf == NULL)
		return err_memory(err);
	buf_init(&load.uniques, 0);
	memset(settings, 0, top->size);
	load_all(&load, path, top, settings);
	if (load.conf->findings > 0) {
		if (err != NULL)
			*err = load.conf->first;
		goto out;
	}
	if (load.no_memory) {
		err_memory(err);
		goto out;
	}
	*conf = load.conf;
	load.conf = NULL;
	rc = 0;
out:
	buf_clear(&load.uniques);
	conf_free(load.conf);
	return rc;
}

void conf_free(struct conf *conf)
{
	if (conf == NULL)
		return;
	conf_text_clear(&conf->text);
	buf_clear(&conf->places);
	arena_free(conf->arena);
	free(conf);
}
