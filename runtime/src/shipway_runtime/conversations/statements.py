"""The statements of every store, once, in the SQL that SQLite and PostgreSQL have in common.

Parameters are named, `:tenant`. Columns are always named too, never `*`: a newer version may have added some.
"""

from __future__ import annotations

# -- Turns --------------------------------------------------------------------------------------------------

BEFORE = """
SELECT last, started, (
    SELECT turn FROM turn
    WHERE tenant = :tenant AND conversation = :conversation
        AND turn <= :upto AND messages IS NOT NULL
    ORDER BY turn DESC LIMIT 1
)
FROM conversation WHERE tenant = :tenant AND conversation = :conversation
"""

# From a turn upwards, `depth` of them; the last row's `previous` is where to go on.
HISTORY = """
WITH RECURSIVE chain(turn, previous, depth) AS (
    SELECT turn, previous, 1 FROM turn
        WHERE tenant = :tenant AND conversation = :conversation AND turn = :turn
    UNION ALL
    SELECT t.turn, t.previous, c.depth + 1 FROM chain c JOIN turn t
        ON t.tenant = :tenant AND t.conversation = :conversation AND t.turn = c.previous
        WHERE c.depth < :depth
)
SELECT c.previous, t.messages, t.memory FROM chain c JOIN turn t
    ON t.tenant = :tenant AND t.conversation = :conversation AND t.turn = c.turn
    ORDER BY c.turn DESC
"""

COUNT_TURN = """
INSERT INTO conversation (tenant, conversation, started, last, metadata)
    VALUES (:tenant, :conversation, :started, :turn, '{}')
ON CONFLICT (tenant, conversation) DO UPDATE
    SET last = excluded.last, started = COALESCE(conversation.started, excluded.started)
    WHERE conversation.last < excluded.last
"""

ADD = """
INSERT INTO turn (tenant, conversation, turn, previous, started, status, messages, memory, response)
VALUES (:tenant, :conversation, :turn, :previous, :started, :status, :messages, :memory, :response)
"""

READ = """
SELECT turn, previous, started, status, messages, memory, response FROM turn
WHERE tenant = :tenant AND conversation = :conversation AND turn = :turn AND status <> 'deleted'
"""

TURNS = """
SELECT turn, previous, started, status, messages, memory, response FROM turn
WHERE tenant = :tenant AND conversation = :conversation AND turn > :after AND status <> 'deleted'
ORDER BY turn LIMIT :limit
"""

TURNS_BACK = """
SELECT turn, previous, started, status, messages, memory, response FROM turn
WHERE tenant = :tenant AND conversation = :conversation AND turn < :after AND status <> 'deleted'
ORDER BY turn DESC LIMIT :limit
"""

# The row stays, without content: its number is taken, and what continues it is still connected.
DELETE_TURN = """
UPDATE turn SET status = 'deleted', messages = NULL, memory = NULL, response = NULL
WHERE tenant = :tenant AND conversation = :conversation AND turn = :turn AND status <> 'deleted'
"""

# -- Conversations: one without `started` is a name whose numbers are taken ------------------------------

CREATE = """
INSERT INTO conversation (tenant, conversation, started, last, metadata)
    VALUES (:tenant, :conversation, :started, 0, :metadata)
ON CONFLICT (tenant, conversation) DO UPDATE
    SET started = excluded.started, metadata = excluded.metadata
    WHERE conversation.started IS NULL
"""

FIND = """
SELECT started, metadata, last FROM conversation
WHERE tenant = :tenant AND conversation = :conversation AND started IS NOT NULL
"""

UPDATE = """
UPDATE conversation SET metadata = :metadata
WHERE tenant = :tenant AND conversation = :conversation AND started IS NOT NULL
"""

DELETE = """
UPDATE conversation SET started = NULL, metadata = '{}'
WHERE tenant = :tenant AND conversation = :conversation AND started IS NOT NULL
"""

DELETE_TURNS = "DELETE FROM turn WHERE tenant = :tenant AND conversation = :conversation"

# -- Budgets ------------------------------------------------------------------------------------------------

SPENT = "SELECT seconds, began, tokens, cost FROM budget WHERE tenant = :tenant"

# A replica whose clock is behind counts in the newer window: it must not bring the old one back.
SPEND = """
INSERT INTO budget (tenant, seconds, began, tokens, cost) VALUES {rows}
ON CONFLICT (tenant, seconds) DO UPDATE SET
    tokens = excluded.tokens + CASE WHEN budget.began < excluded.began THEN 0 ELSE budget.tokens END,
    cost = excluded.cost + CASE WHEN budget.began < excluded.began THEN 0 ELSE budget.cost END,
    began = CASE WHEN budget.began < excluded.began THEN excluded.began ELSE budget.began END
"""
