"""What staff look through: the queue of reviews, the search over turns, the figures of days.

One narrow row for each turn (`turn_index`), numbered so that the order of numbers is that of time, and its words (`turn_words`: FTS5 on
SQLite, a tsvector on PostgreSQL). Triggers keep both in step with the turns: whatever erases a text takes its words out of the index.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

Time = sa.DateTime(timezone=True)
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LATENCY_COLUMNS = 20
WAITS = sa.text("verdict IS NULL")
JUDGED = sa.text("helpful IS NOT NULL")

# Milliseconds of the question, and 20 bits that tell apart what was asked in the same one.
NUMBER = {
    "sqlite": "(strftime('%s', {t}.asked_at) * 1000 + substr(strftime('%f', {t}.asked_at), 4)) * 1048576 + {t}.rowid % 1048576",
    "postgresql": "floor(extract(epoch FROM {t}.asked_at) * 1000)::bigint * 1048576 + nextval('turn_numbers') % 1048576",
}
TOTAL = {
    "sqlite": "CAST(coalesce(json_extract({t}.timings_ms, '$.total'), 0) AS INTEGER)",
    "postgresql": "coalesce(({t}.timings_ms ->> 'total')::float, 0)::int",
}
NAMES = "number, turn_id, platform, workspace_id, decision, reason, model, total_ms, prompt_tokens, completion_tokens"
COLUMNS = """{number}, {t}.turn_id, c.platform, c.workspace_id, {t}.decision, {t}.reason, {t}.model, {total},
 {t}.prompt_tokens, {t}.completion_tokens"""

FACETS = """'p' || hex({i}.platform) || ' w' || hex({i}.platform || ':' || {i}.workspace_id) || ' d' || hex({i}.decision)
 || ' m' || hex(coalesce({i}.model, ''))"""
JUDGED_AGAIN = """CREATE TRIGGER feedback_{name} AFTER {event} ON feedback BEGIN
        UPDATE turn_index SET helpful = (SELECT min(helpful) FROM feedback f WHERE f.turn_id = {row}.turn_id)
        WHERE turn_id = {row}.turn_id;
    END"""
SQLITE = (
    # No diacritics are removed: PostgreSQL's simple configuration does not either.
    "CREATE VIRTUAL TABLE turn_words USING fts5(question, answer, facets, content='', tokenize=\"unicode61 remove_diacritics 0\")",
    """CREATE TRIGGER turn_index_added AFTER INSERT ON turn_index BEGIN
        INSERT INTO turn_words(rowid, question, answer, facets)
        SELECT NEW.number, t.question, t.text, {facets_new} FROM turns t WHERE t.turn_id = NEW.turn_id;
    END""",
    """CREATE TRIGGER turn_added AFTER INSERT ON turns BEGIN
        INSERT INTO turn_index({names})
        SELECT {columns_new} FROM conversations c WHERE c.conversation_id = NEW.conversation_id;
    END""",
    """CREATE TRIGGER turn_reworded AFTER UPDATE OF question, text ON turns
    WHEN OLD.question <> NEW.question OR OLD.text <> NEW.text BEGIN
        INSERT INTO turn_words(turn_words, rowid, question, answer, facets)
        SELECT 'delete', i.number, OLD.question, OLD.text, {facets} FROM turn_index i WHERE i.turn_id = NEW.turn_id;
        INSERT INTO turn_words(rowid, question, answer, facets)
        SELECT i.number, NEW.question, NEW.text, {facets} FROM turn_index i WHERE i.turn_id = NEW.turn_id;
    END""",
    """CREATE TRIGGER turn_index_removed BEFORE DELETE ON turn_index BEGIN
        INSERT INTO turn_words(turn_words, rowid, question, answer, facets)
        SELECT 'delete', OLD.number, t.question, t.text, {facets_old} FROM turns t WHERE t.turn_id = OLD.turn_id;
    END""",
    """CREATE TRIGGER turn_removed BEFORE DELETE ON turns BEGIN
        DELETE FROM turn_index WHERE turn_id = OLD.turn_id;
    END""",
    *(
        JUDGED_AGAIN.replace("{name}", event.split()[0].lower()).replace("{event}", event).replace("{row}", row)
        for event, row in (("INSERT", "NEW"), ("UPDATE OF helpful", "NEW"), ("DELETE", "OLD"))
    ),
    "INSERT INTO turn_index({names}) SELECT {columns} FROM turns t JOIN conversations c ON c.conversation_id = t.conversation_id",
)
# Words are what lies between ASCII punctuation, as in SQLite: PostgreSQL's parser would keep shop.example or a-b as one.
POSTGRESQL = (
    "CREATE SEQUENCE turn_numbers",
    "CREATE TABLE turn_words (number bigint PRIMARY KEY REFERENCES turn_index ON DELETE CASCADE, words tsvector NOT NULL)",
    r"""CREATE FUNCTION plain_words(said text) RETURNS tsvector LANGUAGE sql IMMUTABLE AS $$
        SELECT to_tsvector('simple', regexp_replace(said, '[!-/:-@\[-`{-~\u2000-\u206F\u3000-\u303F]+', ' ', 'g')) $$""",
    """CREATE FUNCTION turn_words_of(question text, answer text, i turn_index) RETURNS tsvector LANGUAGE sql IMMUTABLE AS $$
        SELECT plain_words(question) || plain_words(answer) || array_to_tsvector(ARRAY['=p:' || i.platform,
            '=w:' || i.platform || ':' || i.workspace_id, '=d:' || i.decision, '=m:' || coalesce(i.model, '')]) $$""",
    """CREATE FUNCTION turn_added() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO turn_index({names})
        SELECT {columns_new} FROM conversations c WHERE c.conversation_id = NEW.conversation_id;
        RETURN NULL; END $$""",
    """CREATE FUNCTION turn_index_added() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO turn_words SELECT NEW.number, turn_words_of(t.question, t.text, NEW) FROM turns t WHERE t.turn_id = NEW.turn_id;
        RETURN NULL; END $$""",
    """CREATE FUNCTION turn_reworded() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        UPDATE turn_words w SET words = turn_words_of(NEW.question, NEW.text, i)
        FROM turn_index i WHERE i.turn_id = NEW.turn_id AND w.number = i.number;
        RETURN NULL; END $$""",
    """CREATE FUNCTION turn_removed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        DELETE FROM turn_index WHERE turn_id = OLD.turn_id;
        RETURN OLD; END $$""",
    """CREATE FUNCTION feedback_changed() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE turn text := coalesce(NEW.turn_id, OLD.turn_id); BEGIN
        UPDATE turn_index SET helpful = (SELECT bool_and(helpful) FROM feedback WHERE turn_id = turn) WHERE turn_id = turn;
        RETURN NULL; END $$""",
    "CREATE TRIGGER turn_index_added AFTER INSERT ON turn_index FOR EACH ROW EXECUTE FUNCTION turn_index_added()",
    "CREATE TRIGGER turn_added AFTER INSERT ON turns FOR EACH ROW EXECUTE FUNCTION turn_added()",
    """CREATE TRIGGER turn_reworded AFTER UPDATE OF question, text ON turns FOR EACH ROW
    WHEN (OLD.question <> NEW.question OR OLD.text <> NEW.text) EXECUTE FUNCTION turn_reworded()""",
    "CREATE TRIGGER turn_removed BEFORE DELETE ON turns FOR EACH ROW EXECUTE FUNCTION turn_removed()",
    """CREATE TRIGGER feedback_changed AFTER INSERT OR DELETE OR UPDATE OF helpful ON feedback FOR EACH ROW
    EXECUTE FUNCTION feedback_changed()""",
    "INSERT INTO turn_index({names}) SELECT {columns} FROM turns t JOIN conversations c ON c.conversation_id = t.conversation_id",
    "CREATE INDEX turn_words_by_word ON turn_words USING gin (words)",
)
JUDGEMENTS = {
    "sqlite": """UPDATE turn_index SET helpful = (SELECT min(helpful) FROM feedback f WHERE f.turn_id = turn_index.turn_id)
 WHERE turn_id IN (SELECT turn_id FROM feedback)""",
    "postgresql": """UPDATE turn_index SET helpful = (SELECT bool_and(helpful) FROM feedback f WHERE f.turn_id = turn_index.turn_id)
 WHERE turn_id IN (SELECT turn_id FROM feedback)""",
}
GONE = {
    "sqlite": (
        *(f"DROP TRIGGER feedback_{event}" for event in ("insert", "update", "delete")),
        *(f"DROP TRIGGER turn_{what}" for what in ("removed", "reworded", "added", "index_removed", "index_added")),
        "DROP TABLE turn_words",
    ),
    "postgresql": (
        "DROP TRIGGER feedback_changed ON feedback",
        *(f"DROP TRIGGER turn_{what} ON turns" for what in ("removed", "reworded", "added")),
        "DROP TABLE turn_words",
        "DROP TRIGGER turn_index_added ON turn_index",
        *(f"DROP FUNCTION {name}" for name in ("turn_removed", "turn_reworded", "turn_added", "turn_index_added", "feedback_changed")),
        "DROP FUNCTION turn_words_of",
        "DROP FUNCTION plain_words",
        "DROP SEQUENCE turn_numbers",
    ),
}


def upgrade() -> None:
    _create_reviews()
    _create_turn_index()
    _create_figures()
    kind = op.get_bind().dialect.name
    for statement in SQLITE if kind == "sqlite" else POSTGRESQL:
        op.get_bind().exec_driver_sql(_filled(kind, statement))
    op.get_bind().exec_driver_sql(JUDGEMENTS[kind])


def _filled(kind: str, statement: str) -> str:
    """Put in what several statements share; other braces stay."""
    parts = {"{names}": NAMES, "{facets}": FACETS.format(i="i"), "{facets_new}": FACETS.format(i="NEW")}
    parts["{facets_old}"] = FACETS.format(i="OLD")
    for name, row in (("{columns_new}", "NEW"), ("{columns}", "t")):
        parts[name] = COLUMNS.format(t=row, number=NUMBER[kind].format(t=row), total=TOTAL[kind].format(t=row))
    for name, text in parts.items():
        statement = statement.replace(name, text)
    return statement


def _create_reviews() -> None:
    op.create_table(
        "reviews",
        sa.Column("turn_id", sa.String(32), sa.ForeignKey("turns.turn_id"), primary_key=True),
        sa.Column("platform", sa.String(20), nullable=False),
        sa.Column("workspace_id", sa.String(100), nullable=False),
        sa.Column("risk", sa.Integer, nullable=False),
        sa.Column("queued_at", Time, nullable=False),
        sa.Column("claimed_by", sa.Text),
        sa.Column("claimed_until", Time),
        sa.Column("verdict", sa.String(20)),
        sa.Column("reviewer", sa.Text),
        sa.Column("decided_at", Time),
    )
    waiting = {"sqlite_where": WAITS, "postgresql_where": WAITS}
    op.create_index("reviews_waiting", "reviews", ["risk", "queued_at", "turn_id"], **waiting)
    op.create_index("reviews_waiting_here", "reviews", ["platform", "workspace_id", "risk", "queued_at", "turn_id"], **waiting)
    op.create_index("reviews_waiting_since", "reviews", ["queued_at"], **waiting)


def _create_turn_index() -> None:
    op.create_table(
        "turn_index",
        sa.Column("number", Id, primary_key=True, autoincrement=False),
        sa.Column("turn_id", sa.String(32), sa.ForeignKey("turns.turn_id"), nullable=False),
        sa.Column("platform", sa.String(20), nullable=False),
        sa.Column("workspace_id", sa.String(100), nullable=False),
        sa.Column("decision", sa.String(20), nullable=False),
        sa.Column("reason", sa.String(40), nullable=False),
        sa.Column("model", sa.String(200)),
        sa.Column("total_ms", sa.Integer, nullable=False),
        sa.Column("prompt_tokens", sa.Integer, nullable=False),
        sa.Column("completion_tokens", sa.Integer, nullable=False),
        sa.Column("helpful", sa.Boolean),
        sa.UniqueConstraint("turn_id", name="one_number_per_turn"),
    )
    op.create_index("turn_index_judged", "turn_index", ["helpful", "number"], sqlite_where=JUDGED, postgresql_where=JUDGED)
    op.create_index("feedback_by_time", "feedback", ["given_at"])


def _create_figures() -> None:
    counts = ("turns", "resolved", "abstained", "clarified", "handed_over", "helpful", "unhelpful")
    op.create_table(
        "day_figures",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("platform", sa.String(20), primary_key=True),
        sa.Column("workspace_id", sa.String(100), primary_key=True),
        sa.Column("model", sa.String(200), primary_key=True),
        *(sa.Column(name, sa.Integer, nullable=False) for name in counts),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("prompt_tokens", "completion_tokens")),
        *(sa.Column(f"latency_{number:02}", sa.Integer, nullable=False) for number in range(LATENCY_COLUMNS)),
    )
    op.create_table(
        "rollups",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("until", Time, nullable=False),
    )


def downgrade() -> None:
    for statement in GONE[op.get_bind().dialect.name]:
        op.get_bind().exec_driver_sql(statement)
    op.drop_index("feedback_by_time", "feedback")
    for table in ("rollups", "day_figures", "turn_index", "reviews"):
        op.drop_table(table)
