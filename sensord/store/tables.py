"""The state database's tables, in one place.

Rows that came of a journal group carry its ``seq``, and ``ord`` within it. Times are ns. ``json`` holds the whole value
as the core made it; the columns beside it are what queries need. A dead letter has no payload: the raw message stays
in the journal and nowhere else.
"""

from __future__ import annotations

from sensord.store.sqlite import Schema

_VALID = "json_valid(CAST(json AS TEXT))"  # a row that is not what was written must not stop an upgrade
_STAGES = """CASE json_extract(CAST(json AS TEXT), '$.state')
    WHEN 'open' THEN 'dispatched' WHEN 'acknowledged' THEN 'handling' WHEN 'clear' THEN 'verifying'
    ELSE json_extract(CAST(json AS TEXT), '$.state') END"""
_TO_STAGES = (
    # Version 1 knew four states and wrote down whom it had told, without what became of it. The role is the outbox's.
    f"""UPDATE cases SET json = CAST(json_set(CAST(json AS TEXT), '$.state', {_STAGES}, '$.pending', json('[]'),
        '$.told', (SELECT json_group_object(told.value, json_object('at', opened_at, 'number', told.key, 'role',
            coalesce((SELECT json_extract(CAST(sent.json AS TEXT), '$.role') FROM outbox AS sent
                WHERE sent."case" = cases.id
                AND CASE WHEN json_valid(CAST(sent.json AS TEXT))
                    THEN json_extract(CAST(sent.json AS TEXT), '$.receiver') = told.value END), '')))
            FROM json_each(CAST(cases.json AS TEXT), '$.told') AS told)) AS BLOB)
        WHERE CASE WHEN {_VALID} THEN json_type(CAST(json AS TEXT), '$.told') = 'array' END""",
    f"""UPDATE case_events SET json = CAST(json_set(CAST(json AS TEXT), '$.state', {_STAGES}) AS BLOB)
        WHERE CASE WHEN {_VALID}
            THEN json_extract(CAST(json AS TEXT), '$.state') IN ('open', 'acknowledged', 'clear') END""",
)

_KEPT = (
    # How far earlier versions had deleted was not written down. Nothing older than what is left can be vouched for; the
    # two newest saved states stay for ever, and tell nothing.
    """INSERT OR REPLACE INTO kept SELECT 1, since, since, since FROM (SELECT coalesce((SELECT min(at) FROM (
            SELECT at FROM occupancy UNION ALL SELECT at FROM transitions UNION ALL SELECT at FROM case_events UNION ALL
            SELECT at FROM snapshots WHERE seq NOT IN (SELECT seq FROM snapshots ORDER BY seq DESC LIMIT 2)
        )), at) AS since FROM position)""",
)

STATE = Schema(
    application_id=0x534E5354,  # "SNST"
    version=9,
    carry={
        "snapshots": {"at": "(SELECT at FROM position)"},
        "outbox": {"reported": "state NOT IN ('pending', 'sending')"},  # nobody waits for receipts of long ago
        "cases": {
            "vehicle": f"CASE WHEN {_VALID} THEN json_type(CAST(json AS TEXT), '$.vehicle') IS 'object' ELSE 1 END",
            "code": f"CASE WHEN {_VALID} THEN coalesce(json_extract(CAST(json AS TEXT), '$.code'), '') ELSE '' END",
        },
        "passages": {"start": "hour"},  # counted by the hour once, by the quarter of an hour now
    },
    convert={3: _TO_STAGES, 6: _KEPT},
    statements=(
        # Decisions before ``doubt`` may have been told of by a daemon whose state was lost; 0: there was none.
        """CREATE TABLE position (
            one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, at INTEGER NOT NULL,
            doubt INTEGER NOT NULL DEFAULT 0
        )""",
        "INSERT INTO position VALUES (1, 0, 0, 0)",
        # What happened before these instants was deleted, and is unknown: it must never be taken for nothing.
        """CREATE TABLE kept (
            one INTEGER PRIMARY KEY CHECK (one = 1), tallies INTEGER NOT NULL, cases INTEGER NOT NULL,
            alerts INTEGER NOT NULL
        )""",
        "INSERT INTO kept VALUES (1, 0, 0, 0)",
        """CREATE TABLE snapshots (
            seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, crc INTEGER NOT NULL, state BLOB NOT NULL
        )""",
        """CREATE TABLE transitions (
            id TEXT PRIMARY KEY, seq INTEGER NOT NULL, ord INTEGER NOT NULL, at INTEGER NOT NULL, json BLOB NOT NULL
        ) WITHOUT ROWID""",
        "CREATE INDEX transitions_by_seq ON transitions (seq, ord)",
        "CREATE INDEX transitions_by_at ON transitions (at)",
        # ``vehicle``: it holds a pseudonym and a mask, which do not outlive the journal.
        """CREATE TABLE cases (
            id TEXT PRIMARY KEY, opened_at INTEGER NOT NULL, closed_at INTEGER NOT NULL, json BLOB NOT NULL,
            vehicle INTEGER NOT NULL DEFAULT 0, code TEXT NOT NULL DEFAULT ''
        ) WITHOUT ROWID""",
        "CREATE INDEX cases_by_end ON cases (closed_at)",
        "CREATE INDEX cases_by_start ON cases (opened_at DESC, id)",
        "CREATE INDEX cases_by_code ON cases (code)",
        "CREATE INDEX cases_with_vehicle ON cases (closed_at) WHERE vehicle = 1",
        """CREATE TABLE case_events (
            id TEXT PRIMARY KEY, seq INTEGER NOT NULL, ord INTEGER NOT NULL, at INTEGER NOT NULL,
            "case" TEXT NOT NULL, json BLOB NOT NULL
        ) WITHOUT ROWID""",
        "CREATE INDEX case_events_by_seq ON case_events (seq, ord)",
        'CREATE INDEX case_events_by_case ON case_events ("case", seq, ord)',
        "CREATE INDEX case_events_by_at ON case_events (at)",
        "CREATE TABLE holds (seq INTEGER, ord INTEGER, at INTEGER NOT NULL, json BLOB, PRIMARY KEY (seq, ord))",
        """CREATE TABLE outbox (
            key TEXT PRIMARY KEY, seq INTEGER NOT NULL, ord INTEGER NOT NULL, at INTEGER NOT NULL,
            "case" TEXT NOT NULL, channel TEXT NOT NULL, level INTEGER NOT NULL, json BLOB NOT NULL,
            state TEXT NOT NULL, due INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
            possibly_repeated INTEGER NOT NULL DEFAULT 0, settled_at INTEGER NOT NULL DEFAULT 0,
            receipt TEXT NOT NULL DEFAULT '', error TEXT NOT NULL DEFAULT '', reported INTEGER NOT NULL DEFAULT 0,
            since INTEGER NOT NULL DEFAULT 0, unclear INTEGER NOT NULL DEFAULT 0
        ) WITHOUT ROWID""",
        # How long (ns) each channel has been at work, over all runs; ``since`` is what that was at a row's first try.
        "CREATE TABLE work (channel TEXT PRIMARY KEY, worked INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE INDEX outbox_waiting ON outbox (channel, due) WHERE state = 'pending'",
        "CREATE INDEX outbox_unsettled ON outbox (channel, level, at) WHERE state IN ('pending', 'sending')",
        "CREATE INDEX outbox_unreported ON outbox (at) WHERE reported = 0 AND state IN ('sent', 'failed')",
        'CREATE INDEX outbox_by_case ON outbox ("case", seq, ord)',
        "CREATE INDEX outbox_by_at ON outbox (at)",
        """CREATE TABLE dead_letters (
            seq INTEGER, idx INTEGER, at INTEGER NOT NULL, topic TEXT NOT NULL, reason TEXT NOT NULL,
            detail TEXT NOT NULL, PRIMARY KEY (seq, idx)
        )""",
        "CREATE INDEX dead_letters_by_at ON dead_letters (at)",
        """CREATE TABLE passages (
            start INTEGER, gate TEXT, direction TEXT, sort TEXT, province TEXT, energy TEXT, count INTEGER NOT NULL,
            PRIMARY KEY (start, gate, direction, sort, province, energy)
        ) WITHOUT ROWID""",
        """CREATE TABLE occupancy (
            at INTEGER, compound TEXT, inside INTEGER NOT NULL, unsure INTEGER NOT NULL, PRIMARY KEY (at, compound)
        ) WITHOUT ROWID""",
        # Who was inside by a person's count, and by ours before.
        """CREATE TABLE by_hand (
            at INTEGER, compound TEXT, before INTEGER NOT NULL, inside INTEGER NOT NULL, PRIMARY KEY (at, compound)
        ) WITHOUT ROWID""",
        """CREATE TABLE blind (
            device TEXT, since INTEGER, until INTEGER NOT NULL, PRIMARY KEY (device, since)
        ) WITHOUT ROWID""",
        "CREATE INDEX blind_by_end ON blind (until)",
        """CREATE TABLE cursors (
            name TEXT PRIMARY KEY, seq INTEGER NOT NULL, checkpoint INTEGER NOT NULL, state BLOB NOT NULL
        )""",
    ),
)
