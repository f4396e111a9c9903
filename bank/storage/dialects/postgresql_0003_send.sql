-- A payment by session or token, in one message: `SELECT payments_send(batch)` looks at who asks, whether the account is
-- theirs and the payee known to them, and hands what it may to the door. The same steps in the same order as
-- mysql_0003_send.sql and sqlite_send.py; tests/storage proves them alike.

-- Answers a JSON array in the batch's order: the door's own answer, or ["denied", what it was about, why, NULL].
CREATE OR REPLACE FUNCTION payments_send(batch jsonb) RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {schema}, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $$
DECLARE
    denials jsonb[];
    messages jsonb;
    answers jsonb;
    idle_sessions bigint[];
    idle_tokens bigint[];
    today date;
BEGIN
    -- Each look-up is one of an index, whatever the planner believes of a batch's size: so LATERAL, and LIMIT.
    SELECT array_agg(CASE WHEN denial IS NOT NULL THEN jsonb_build_array('denied', about, denial, NULL) END ORDER BY place),
           jsonb_agg(message ORDER BY place) FILTER (WHERE denial IS NULL),
           array_agg(session_id) FILTER (WHERE session_id IS NOT NULL AND used_at < asked_at - interval '60 seconds'),
           array_agg(token_id) FILTER (WHERE token_id IS NOT NULL AND used_on IS DISTINCT FROM asked_day),
           max(asked_day)
      INTO denials, messages, idle_sessions, idle_tokens, today
      FROM (
        SELECT place, session.id AS session_id, session.used_at, token.id AS token_id, token.used_on,
               asked.booked_at AS asked_at, asked.booking_date AS asked_day, planned.id AS about,
               CASE WHEN customer.id IS NULL THEN 'signed_out'
                    WHEN token.scopes IS NOT NULL AND NOT 'payments:write' = ANY (string_to_array(token.scopes, ' ')) THEN 'wrong_scope'
                    WHEN holder.account_id IS NULL THEN 'no_such_account'
                    WHEN asked.payer = asked.payee THEN 'same_account'
                    WHEN planned.id IS NOT NULL THEN 'planned'
                    WHEN NOT known.is_known THEN 'untried' END AS denial,
               jsonb_build_object(
                   'caller', 'customer:' || customer.id, 'key', asked.key, 'kind', 'transfer', 'narrative', asked.narrative,
                   'digest', encode(sha256(convert_to(format(
                       '["transfer", %s, [[%s, "%s", %s, "%s"], [%s, "%s", %s, "%s"]], null, null]', asked.narrative_json,
                       least(paying.id, receiving.id), CASE WHEN paying.id < receiving.id THEN 'debit' ELSE 'credit' END, asked.minor, asked.currency,
                       greatest(paying.id, receiving.id), CASE WHEN paying.id < receiving.id THEN 'credit' ELSE 'debit' END, asked.minor, asked.currency
                   ), 'UTF8')), 'hex'),
                   'booking_date', asked.booking_date, 'value_date', asked.booking_date, 'booked_at', asked.item->>'booked_at',
                   'reverses', NULL, 'hold_op', NULL, 'hold_account', NULL, 'hold_id', NULL, 'hold_minor', NULL, 'hold_currency', NULL, 'hold_expires_at', NULL,
                   'limit_per_payment', CASE WHEN NOT own.is_own THEN asked.limit_per_payment END,
                   'limit_per_day', CASE WHEN NOT own.is_own THEN asked.limit_per_day END,
                   'postings', jsonb_build_array(
                       jsonb_build_object('account', paying.id, 'side', 'debit', 'minor', asked.minor, 'currency', asked.currency),
                       jsonb_build_object('account', receiving.id, 'side', 'credit', 'minor', asked.minor, 'currency', asked.currency)
                   )
               ) AS message
          FROM (
              SELECT place, item, item->>'means' AS means, item->>'credential' AS credential, item->>'payer' AS payer, item->>'payee' AS payee,
                     item->>'key' AS key, item->>'narrative' AS narrative, item->>'narrative_json' AS narrative_json,
                     (item->>'minor')::bigint AS minor, item->>'currency' AS currency, (item->>'booking_date')::date AS booking_date,
                     (item->>'booked_at')::timestamp AT TIME ZONE 'UTC' AS booked_at, (item->>'seen')::timestamp AT TIME ZONE 'UTC' AS seen,
                     make_interval(secs => (item->>'idle_seconds')::int) AS idle, make_interval(secs => (item->>'absolute_seconds')::int) AS absolute,
                     (item->>'limit_per_payment')::bigint AS limit_per_payment, (item->>'limit_per_day')::bigint AS limit_per_day
                FROM jsonb_array_elements(batch) WITH ORDINALITY AS each (item, place)
          ) AS asked
          LEFT JOIN LATERAL (
              SELECT s.id, s.person_id, s.last_used_at AS used_at FROM sessions s
               WHERE asked.means = 'session' AND s.token_digest = asked.credential AND s.kind = 'customer' AND s.revoked_at IS NULL
                 AND greatest(s.last_used_at, asked.seen) >= asked.booked_at - asked.idle AND s.created_at >= asked.booked_at - asked.absolute LIMIT 1
          ) AS session ON true
          LEFT JOIN LATERAL (
              SELECT t.id, t.person_id, t.scopes, t.last_used_on AS used_on FROM api_tokens t
               WHERE asked.means = 'token' AND t.token_digest = asked.credential AND t.kind = 'customer' AND t.revoked_at IS NULL
                 AND t.expires_at > asked.booked_at LIMIT 1
          ) AS token ON true
          LEFT JOIN LATERAL (
              SELECT c.id FROM customers c WHERE c.id = coalesce(session.person_id, token.person_id) AND c.status = 'active' LIMIT 1
          ) AS customer ON true
          LEFT JOIN LATERAL (SELECT a.id FROM ledger_accounts a WHERE a.number = asked.payer LIMIT 1) AS paying ON true
          LEFT JOIN LATERAL (
              SELECT h.account_id FROM account_holders h WHERE h.account_id = paying.id AND h.customer_id = customer.id LIMIT 1
          ) AS holder ON true
          LEFT JOIN LATERAL (
              SELECT l.id FROM ledger_accounts l WHERE l.number = asked.payee AND EXISTS (SELECT FROM accounts a WHERE a.id = l.id) LIMIT 1
          ) AS receiving ON true
          LEFT JOIN LATERAL (
              SELECT p.id FROM scheduled_payments p WHERE p.operation = customer.id || ':' || asked.key LIMIT 1
          ) AS planned ON true
          -- What was paid, saved or tried before: another number is counted first, so that nobody finds accounts by trying.
          CROSS JOIN LATERAL (
              SELECT receiving.id IS NOT NULL AND (
                  EXISTS (SELECT FROM payees p WHERE p.customer_id = customer.id AND p.account_id = receiving.id)
                  OR EXISTS (SELECT FROM account_holders h WHERE h.account_id = receiving.id AND h.customer_id = customer.id)
                  OR EXISTS (SELECT FROM name_checks n WHERE n.customer_id = customer.id AND n.number = asked.payee AND n.result <> 'unknown')
              ) AS is_known
          ) AS known
          -- The same owners on both sides, the payer among them: a shared owner alone would be a way round the limits.
          CROSS JOIN LATERAL (
              SELECT payers = payees AND customer.id = ANY (payers) AS is_own
                FROM (SELECT array(SELECT h.customer_id FROM account_holders h WHERE h.account_id = paying.id AND h.role = 'owner' ORDER BY 1) AS payers,
                             array(SELECT h.customer_id FROM account_holders h WHERE h.account_id = receiving.id AND h.role = 'owner' ORDER BY 1) AS payees) AS owners
          ) AS own
      ) AS judged;

    -- Whoever holds one of these rows at this moment notes a use as well; waiting for it could make two batches wait for each other.
    IF idle_sessions IS NOT NULL THEN
        UPDATE sessions SET last_used_at = (batch->0->>'booked_at')::timestamp AT TIME ZONE 'UTC'
         WHERE id IN (SELECT id FROM sessions WHERE id = ANY (idle_sessions) FOR UPDATE SKIP LOCKED);
    END IF;
    IF idle_tokens IS NOT NULL THEN
        UPDATE api_tokens SET last_used_on = today WHERE id IN (SELECT id FROM api_tokens WHERE id = ANY (idle_tokens) FOR UPDATE SKIP LOCKED);
    END IF;
    IF messages IS NULL THEN
        RETURN to_jsonb(denials);
    END IF;
    answers := ledger_post(messages);
    IF jsonb_array_length(answers) = cardinality(denials) THEN
        RETURN answers;
    END IF;
    RETURN (
        SELECT jsonb_agg(coalesce(denial, answers->(posted - 1)::int) ORDER BY place)
          FROM (SELECT denial, place, count(*) FILTER (WHERE denial IS NULL) OVER (ORDER BY place) AS posted
                  FROM unnest(denials) WITH ORDINALITY AS each (denial, place)) AS placed
    );
END $$;

REVOKE ALL ON FUNCTION payments_send(jsonb) FROM PUBLIC;
