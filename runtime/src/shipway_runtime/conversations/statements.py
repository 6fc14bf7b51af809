"""The statements of every store, once, in the SQL that SQLite and PostgreSQL have in common.

Parameters are named, `:tenant`; every database puts its own clock, in seconds since the epoch, for `:now`.
Columns are always named too, never `*`: a newer version may have added some. `main` is as in schema.py.
"""

from __future__ import annotations

# -- Turns --------------------------------------------------------------------------------------------------

BEFORE = """
SELECT last, started, (
    SELECT turn FROM main.turn
    WHERE tenant = :tenant AND conversation = :conversation
        AND turn <= :upto AND messages IS NOT NULL
    ORDER BY turn DESC LIMIT 1
)
FROM main.conversation WHERE tenant = :tenant AND conversation = :conversation
"""

# From a turn upwards, `depth` of them; the last row's `previous` is where to go on.
HISTORY = """
WITH RECURSIVE chain(turn, previous, depth) AS (
    SELECT turn, previous, 1 FROM main.turn
        WHERE tenant = :tenant AND conversation = :conversation AND turn = :turn
    UNION ALL
    SELECT t.turn, t.previous, c.depth + 1 FROM chain c JOIN main.turn t
        ON t.tenant = :tenant AND t.conversation = :conversation AND t.turn = c.previous
        WHERE c.depth < :depth
)
SELECT c.previous, t.messages, t.memory FROM chain c JOIN main.turn t
    ON t.tenant = :tenant AND t.conversation = :conversation AND t.turn = c.turn
    ORDER BY c.turn DESC
"""

# A turn that is stored gives the lease back in the same statement, by `holder` NULL. One that has lost its
# lease is not stored.
COUNT_TURN = """
UPDATE main.conversation
SET last = :turn, started = COALESCE(started, :started), holder = CAST(:holder AS TEXT)
WHERE tenant = :tenant AND conversation = :conversation AND holder = :me AND last < :turn
"""

ADD = """
INSERT INTO main.turn (tenant, conversation, turn, previous, started, status, messages, memory, response)
VALUES (:tenant, :conversation, :turn, :previous, :started, :status, :messages, :memory, :response)
"""

# The two at once, where the database can: one way there and back instead of four.
COUNT_AND_ADD = """
WITH counted AS (
    UPDATE main.conversation
    SET last = :turn, started = COALESCE(started, :started), holder = CAST(:holder AS TEXT)
    WHERE tenant = :tenant AND conversation = :conversation AND holder = :me AND last < :turn
    RETURNING tenant, conversation, last
)
INSERT INTO main.turn (tenant, conversation, turn, previous, started, status, messages, memory, response)
SELECT tenant, conversation, last,
    CAST(:previous AS INTEGER), :started, :status, :messages, :memory, :response
FROM counted
"""

STORED = """
SELECT 1 FROM main.turn
WHERE tenant = :tenant AND conversation = :conversation AND turn = :turn AND started = :started
"""

READ = """
SELECT turn, previous, started, status, messages, memory, response FROM main.turn
WHERE tenant = :tenant AND conversation = :conversation AND turn = :turn AND status <> 'deleted'
"""

TURNS = """
SELECT turn, previous, started, status, messages, memory, response FROM main.turn
WHERE tenant = :tenant AND conversation = :conversation AND turn > :after AND status <> 'deleted'
ORDER BY turn LIMIT :limit
"""

TURNS_BACK = """
SELECT turn, previous, started, status, messages, memory, response FROM main.turn
WHERE tenant = :tenant AND conversation = :conversation AND turn < :after AND status <> 'deleted'
ORDER BY turn DESC LIMIT :limit
"""

# The row stays, without content: its number is taken, and what continues it is still connected.
DELETE_TURN = """
UPDATE main.turn SET status = 'deleted', messages = NULL, memory = NULL, response = NULL
WHERE tenant = :tenant AND conversation = :conversation AND turn = :turn AND status <> 'deleted'
"""

# -- Conversations: one without `started` is a name whose numbers are taken ---------------------------------

CREATE = """
INSERT INTO main.conversation (tenant, conversation, started, last, metadata)
    VALUES (:tenant, :conversation, :started, 0, :metadata)
ON CONFLICT (tenant, conversation) DO UPDATE
    SET started = excluded.started, metadata = excluded.metadata
    WHERE conversation.started IS NULL
"""

FIND = """
SELECT started, metadata, last FROM main.conversation
WHERE tenant = :tenant AND conversation = :conversation AND started IS NOT NULL
"""

UPDATE = """
UPDATE main.conversation SET metadata = :metadata
WHERE tenant = :tenant AND conversation = :conversation AND started IS NOT NULL
"""

DELETE = """
UPDATE main.conversation SET started = NULL, metadata = '{}', holder = NULL, held_until = NULL
WHERE tenant = :tenant AND conversation = :conversation AND started IS NOT NULL
"""

DELETE_TURNS = "DELETE FROM main.turn WHERE tenant = :tenant AND conversation = :conversation"

# -- Leases -------------------------------------------------------------------------------------------------

TAKE = """
INSERT INTO main.conversation AS c (tenant, conversation, last, metadata, holder, held_until)
    VALUES (:tenant, :conversation, 0, '{}', :me, :now + :lease_s)
ON CONFLICT (tenant, conversation) DO UPDATE
    SET holder = excluded.holder, held_until = excluded.held_until, next = NULL, next_until = NULL
    WHERE (c.holder IS NULL OR c.holder = excluded.holder OR c.held_until < :now)
        AND (c.next IS NULL OR c.next = excluded.holder OR c.next_until < :now)
"""

BE_NEXT = """
UPDATE main.conversation SET next = :me, next_until = :now + :next_s
WHERE tenant = :tenant AND conversation = :conversation
    AND (next IS NULL OR next = :me OR next_until < :now)
"""

RENEW = """
UPDATE main.conversation SET held_until = :now + :lease_s
WHERE holder = :me AND (tenant, conversation) IN (VALUES {rows})
"""

GIVE_BACK = """
UPDATE main.conversation SET holder = NULL, held_until = NULL
WHERE tenant = :tenant AND conversation = :conversation AND holder = :me
"""

# What was taken by a turn that came to nothing leaves no trace.
SWEEP = """
DELETE FROM main.conversation
WHERE tenant = :tenant AND conversation = :conversation
    AND started IS NULL AND last = 0 AND holder IS NULL AND next IS NULL
"""

# -- Budgets ------------------------------------------------------------------------------------------------

SPENT = "SELECT seconds, began, tokens, cost FROM main.budget WHERE tenant = :tenant"

# A replica whose clock is behind counts in the newer window: it must not bring the old one back.
SPEND = """
INSERT INTO main.budget (tenant, seconds, began, tokens, cost) VALUES {rows}
ON CONFLICT (tenant, seconds) DO UPDATE SET
    tokens = excluded.tokens + CASE WHEN budget.began < excluded.began THEN 0 ELSE budget.tokens END,
    cost = excluded.cost + CASE WHEN budget.began < excluded.began THEN 0 ELSE budget.cost END,
    began = CASE WHEN budget.began < excluded.began THEN excluded.began ELSE budget.began END
"""

# -- Readiness ----------------------------------------------------------------------------------------------

PROBE = "UPDATE main.schema SET checked = :now WHERE oldest <= :version"
