-- The door on MySQL and MariaDB: one statement, `CALL ledger_post(batch)`, one round trip.
-- The same steps in the same order as postgresql_0001_door.sql and sqlite.py; tests/storage proves them alike.
-- The inner procedures leave transactions alone; only the wrapper at the end opens and commits one.

CREATE PROCEDURE ledger_refusal(IN item LONGTEXT, OUT code VARCHAR(40), OUT facts TEXT)
find: BEGIN
    DECLARE asked_reverses, asked_account, asked_hold, asked_minor, found_id, found_reverses BIGINT;
    DECLARE found_balance, found_floor, found_remaining BIGINT;
    DECLARE captured BIGINT DEFAULT 0;
    DECLARE operation, asked_currency, found_currency, found_status, found_refusal VARCHAR(40);
    DECLARE asked_at, found_expires DATETIME(6);
    DECLARE asked_day DATE;
    DECLARE default_per_payment, default_per_day BIGINT;
    DECLARE moved, reversed INT;

    SELECT reverses, hold_op, hold_account, hold_id, hold_minor, hold_currency, booked_at, booking_date, limit_per_payment, limit_per_day
      INTO asked_reverses, operation, asked_account, asked_hold, asked_minor, asked_currency, asked_at, asked_day, default_per_payment, default_per_day
      FROM JSON_TABLE(item, '$' COLUMNS (
          reverses BIGINT PATH '$.reverses', hold_op VARCHAR(10) PATH '$.hold_op', hold_account BIGINT PATH '$.hold_account',
          hold_id BIGINT PATH '$.hold_id', hold_minor BIGINT PATH '$.hold_minor', hold_currency VARCHAR(3) PATH '$.hold_currency',
          booked_at DATETIME(6) PATH '$.booked_at', booking_date DATE PATH '$.booking_date',
          limit_per_payment BIGINT PATH '$.limit_per_payment', limit_per_day BIGINT PATH '$.limit_per_day'
      )) AS asked;
    -- Below, `x + 0` where a variable goes into JSON: MariaDB would write the bare variable as a string.
    SET code = NULL, facts = NULL;

    IF asked_reverses IS NOT NULL THEN
        SELECT MAX(e.id), MAX(e.refusal), MAX(e.reverses) INTO found_id, found_refusal, found_reverses FROM journal_entries e WHERE e.id = asked_reverses;
        SELECT COUNT(*) INTO moved FROM postings WHERE entry_id = asked_reverses;
        SELECT COUNT(*) INTO reversed FROM journal_entries WHERE reverses = asked_reverses;
        SET facts = JSON_OBJECT('entry', asked_reverses + 0);
        IF found_id IS NULL THEN SET code = 'unknown_entry'; LEAVE find; END IF;
        IF found_refusal IS NOT NULL OR found_reverses IS NOT NULL OR moved = 0 THEN SET code = 'not_reversible'; LEAVE find; END IF;
        IF reversed > 0 THEN SET code = 'already_reversed'; LEAVE find; END IF;
    END IF;

    IF operation IS NOT NULL THEN
        SELECT MAX(id), MAX(currency), MAX(status), MAX(balance - held), MAX(floor)
          INTO found_id, found_currency, found_status, found_balance, found_floor
          FROM ledger_accounts WHERE id = asked_account;
        SET facts = JSON_OBJECT('account', asked_account + 0);
        IF found_id IS NULL THEN SET code = 'unknown_account'; LEAVE find; END IF;
        IF operation = 'reserve' THEN
            IF found_currency <> asked_currency THEN SET code = 'currency_mismatch'; LEAVE find; END IF;
            IF found_status = 'closed' THEN SET code = 'account_closed'; LEAVE find; END IF;
            IF found_status <> 'open' THEN SET code = 'account_frozen'; LEAVE find; END IF;
            IF found_balance - found_floor < asked_minor THEN
                SET code = 'insufficient_funds';
                SET facts = JSON_OBJECT('account', asked_account + 0, 'available', found_balance - found_floor, 'needed', asked_minor + 0, 'currency', found_currency);
                LEAVE find;
            END IF;
        ELSE
            SELECT MAX(id), MAX(remaining), MAX(expires_at) INTO found_id, found_remaining, found_expires
              FROM holds WHERE id = asked_hold AND account_id = asked_account;
            SET facts = JSON_OBJECT('hold', asked_hold + 0);
            IF found_id IS NULL THEN SET code = 'unknown_hold'; LEAVE find; END IF;
            IF found_remaining = 0 THEN SET code = 'hold_ended'; LEAVE find; END IF;
            IF operation = 'expire' AND (found_expires IS NULL OR found_expires > asked_at) THEN SET code = 'hold_not_expired'; LEAVE find; END IF;
            IF operation = 'capture' THEN
                IF found_expires <= asked_at THEN SET code = 'hold_expired'; LEAVE find; END IF;
                IF asked_minor > found_remaining THEN
                    SET code = 'hold_too_small';
                    SET facts = JSON_OBJECT('hold', asked_hold + 0, 'remaining', found_remaining + 0, 'currency', found_currency);
                    LEAVE find;
                END IF;
                SET captured = asked_minor;
            END IF;
        END IF;
        SET facts = NULL;
    END IF;

    -- Of all that stands against it, the first posting's first reason: status before limits before funds.
    -- No column below may have a variable's name: the variable would be taken instead.
    BEGIN
        DECLARE CONTINUE HANDLER FOR NOT FOUND SET code = NULL, facts = NULL;
        SELECT reason.code, reason.facts INTO code, facts FROM (
            SELECT stage, place,
                   CASE stage
                       WHEN 1 THEN CASE
                           WHEN a_id IS NULL THEN 'unknown_account'
                           WHEN currency <> posted_currency THEN 'currency_mismatch'
                           WHEN status = 'closed' THEN 'account_closed'
                           WHEN status = 'frozen' OR (status = 'debits_frozen' AND lowers) THEN 'account_frozen' END
                       WHEN 2 THEN CASE WHEN lowers AND floor IS NOT NULL AND default_per_payment IS NOT NULL AND minor > per_payment THEN 'over_payment_limit' END
                       WHEN 3 THEN CASE WHEN lowers AND floor IS NOT NULL AND default_per_day IS NOT NULL AND spent_today + minor > per_day THEN 'over_daily_limit' END
                       ELSE CASE WHEN lowers AND minor > available THEN 'insufficient_funds' END
                   END AS code,
                   CASE stage
                       WHEN 1 THEN JSON_OBJECT('account', id)
                       WHEN 2 THEN JSON_OBJECT('account', id, 'limit', per_payment, 'needed', minor, 'currency', currency)
                       WHEN 3 THEN JSON_OBJECT('account', id, 'limit', per_day, 'spent', spent_today, 'needed', minor, 'currency', currency)
                       ELSE JSON_OBJECT('account', id, 'available', available, 'needed', minor, 'currency', currency)
                   END AS facts
              FROM (
                  SELECT asked.place, asked.id, asked.minor, asked.currency AS posted_currency, a.id AS a_id, a.currency, a.status, a.floor,
                         asked.side <> a.normal_side AS lowers,
                         a.balance - a.held + IF(a.id = asked_account, captured, 0) - a.floor AS available,
                         COALESCE(a.limit_per_payment, default_per_payment) AS per_payment,
                         COALESCE(a.limit_per_day, default_per_day) AS per_day,
                         IF(a.spent_day >= asked_day, a.spent, 0) AS spent_today
                    FROM JSON_TABLE(item, '$.postings[*]' COLUMNS (
                        place FOR ORDINALITY, id BIGINT PATH '$.account', minor BIGINT PATH '$.minor',
                        side VARCHAR(6) PATH '$.side', currency VARCHAR(3) PATH '$.currency'
                    )) AS asked
                    LEFT JOIN ledger_accounts a ON a.id = asked.id
              ) AS standing
              CROSS JOIN (SELECT 1 AS stage UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4) AS stages
        ) AS reason
        WHERE reason.code IS NOT NULL
        ORDER BY reason.stage, reason.place
        LIMIT 1;
    END;
END
--;;
CREATE PROCEDURE ledger_apply(IN entry BIGINT, IN item LONGTEXT, IN operation VARCHAR(10), IN asked_hold BIGINT, IN asked_account BIGINT, IN held_change BIGINT, IN expires DATETIME(6), IN asked_day DATE, IN limited BOOLEAN)
BEGIN
    IF operation = 'reserve' THEN
        INSERT INTO holds (id, account_id, minor_units, remaining, expires_at) VALUES (entry, asked_account, held_change, held_change, expires);
    ELSEIF operation IS NOT NULL THEN
        UPDATE holds SET remaining = remaining + held_change WHERE id = asked_hold;
    END IF;
    IF operation IS NOT NULL THEN
        UPDATE ledger_accounts SET held = held + held_change WHERE id = asked_account;
    END IF;

    -- Two statements, since a joined UPDATE promises no order among its assignments.
    IF limited THEN
        UPDATE ledger_accounts a
          JOIN JSON_TABLE(item, '$.postings[*]' COLUMNS (id BIGINT PATH '$.account', side VARCHAR(6) PATH '$.side')) AS asked ON asked.id = a.id
           SET a.spent = 0, a.spent_day = asked_day
         WHERE a.floor IS NOT NULL AND asked.side <> a.normal_side AND (a.spent_day IS NULL OR a.spent_day < asked_day);
    END IF;
    UPDATE ledger_accounts a
      JOIN JSON_TABLE(item, '$.postings[*]' COLUMNS (id BIGINT PATH '$.account', minor BIGINT PATH '$.minor', side VARCHAR(6) PATH '$.side')) AS asked ON asked.id = a.id
       SET a.balance = a.balance + IF(asked.side = a.normal_side, asked.minor, -asked.minor),
           a.version = a.version + 1,
           a.spent = a.spent + IF(limited AND a.floor IS NOT NULL AND asked.side <> a.normal_side, asked.minor, 0);

    INSERT INTO postings (account_id, seq, entry_id, side, minor_units, balance_after, booking_date, limit_day)
    SELECT a.id, a.version, entry, asked.side, asked.minor, a.balance, asked_day,
           IF(limited AND a.floor IS NOT NULL AND asked.side <> a.normal_side, a.spent_day, NULL)
      FROM JSON_TABLE(item, '$.postings[*]' COLUMNS (id BIGINT PATH '$.account', minor BIGINT PATH '$.minor', side VARCHAR(6) PATH '$.side')) AS asked
      JOIN ledger_accounts a ON a.id = asked.id;
END
--;;
CREATE PROCEDURE ledger_post_inner(IN batch LONGTEXT, OUT answers LONGTEXT)
BEGIN
    DECLARE done BOOLEAN DEFAULT FALSE;
    DECLARE locked_id, new_id, known_id, asked_reverses, asked_hold, asked_account, asked_minor, held_change, asked_limit BIGINT;
    DECLARE asked_caller VARBINARY(100);
    DECLARE asked_key VARBINARY(255);
    DECLARE asked_digest, known_digest VARCHAR(64);
    DECLARE asked_kind, known_refusal, refusal_code VARCHAR(40);
    DECLARE asked_narrative VARCHAR(200);
    DECLARE asked_day, asked_value DATE;
    DECLARE asked_at, asked_expires DATETIME(6);
    DECLARE operation VARCHAR(10);
    DECLARE item LONGTEXT;
    DECLARE refusal_facts_text, known_facts TEXT;
    DECLARE accounts CURSOR FOR
        SELECT DISTINCT id FROM JSON_TABLE(batch, '$[*].postings[*]' COLUMNS (id BIGINT PATH '$.account')) AS posted
        UNION SELECT id FROM JSON_TABLE(batch, '$[*]' COLUMNS (id BIGINT PATH '$.hold_account')) AS held WHERE id IS NOT NULL
        ORDER BY id;
    DECLARE items CURSOR FOR
        SELECT caller, idempotency_key, digest, kind, narrative, booking_date, value_date, booked_at, reverses, hold_op, hold_id, hold_account, hold_minor, hold_expires_at, limit_per_payment, entry
          FROM JSON_TABLE(batch, '$[*]' COLUMNS (
              place FOR ORDINALITY, caller VARCHAR(100) PATH '$.caller', idempotency_key VARCHAR(255) PATH '$.key', digest VARCHAR(64) PATH '$.digest',
              kind VARCHAR(30) PATH '$.kind', narrative VARCHAR(200) PATH '$.narrative', booking_date DATE PATH '$.booking_date',
              value_date DATE PATH '$.value_date', booked_at DATETIME(6) PATH '$.booked_at', reverses BIGINT PATH '$.reverses',
              hold_op VARCHAR(10) PATH '$.hold_op', hold_id BIGINT PATH '$.hold_id', hold_account BIGINT PATH '$.hold_account',
              hold_minor BIGINT PATH '$.hold_minor', hold_expires_at DATETIME(6) PATH '$.hold_expires_at',
              limit_per_payment BIGINT PATH '$.limit_per_payment', entry JSON PATH '$'
          )) AS asked ORDER BY place;
    DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = TRUE;

    -- Our own callers cannot construct such an entry; whoever else has this role must not post one either.
    IF EXISTS (
        SELECT 1 FROM JSON_TABLE(batch, '$[*]' COLUMNS (
            place FOR ORDINALITY, hold_op VARCHAR(10) PATH '$.hold_op',
            NESTED PATH '$.postings[*]' COLUMNS (
                id BIGINT PATH '$.account', minor BIGINT PATH '$.minor', side VARCHAR(6) PATH '$.side', currency VARCHAR(3) PATH '$.currency'
            )
        )) AS asked
        GROUP BY place, currency
        HAVING SUM(IF(side = 'debit', minor, -minor)) <> 0 OR COUNT(DISTINCT id) <> COUNT(id) OR (COUNT(id) = 0 AND MAX(hold_op) IS NULL)
    ) THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'an entry is not balanced';
    END IF;

    -- One by one, because a sorted SELECT … FOR UPDATE locks in the order it reads, not in the order it sorts.
    OPEN accounts;
    lock_accounts: LOOP
        FETCH accounts INTO locked_id;
        IF done THEN LEAVE lock_accounts; END IF;
        SELECT COUNT(*) INTO @ledger_locked FROM ledger_accounts WHERE id = locked_id FOR UPDATE;
    END LOOP;
    CLOSE accounts;

    SET done = FALSE, answers = '';
    OPEN items;
    post_items: LOOP
        FETCH items INTO asked_caller, asked_key, asked_digest, asked_kind, asked_narrative, asked_day, asked_value, asked_at, asked_reverses,
                         operation, asked_hold, asked_account, asked_minor, asked_expires, asked_limit, item;
        IF done THEN LEAVE post_items; END IF;
        SET new_id = NULL;
        SELECT MAX(id), MAX(digest), MAX(refusal), MAX(refusal_facts) INTO known_id, known_digest, known_refusal, known_facts
          FROM journal_entries WHERE caller = asked_caller AND idempotency_key = asked_key;
        IF known_id IS NULL THEN
            CALL ledger_refusal(item, refusal_code, refusal_facts_text);
            SET held_change = CASE
                WHEN refusal_code IS NOT NULL THEN NULL
                WHEN operation = 'reserve' THEN asked_minor
                ELSE (SELECT -COALESCE(asked_minor, remaining) FROM holds WHERE id = asked_hold) END;
            SET new_id = 0;
            BEGIN
                -- The same key came by another connection, whose commit this one has just waited for.
                DECLARE CONTINUE HANDLER FOR 1062 SET new_id = NULL;
                INSERT INTO journal_entries (caller, idempotency_key, digest, kind, narrative, booking_date, value_date, booked_at, reverses, hold_id, hold_change, refusal, refusal_facts)
                VALUES (asked_caller, asked_key, asked_digest, asked_kind, asked_narrative, asked_day, asked_value, asked_at,
                        IF(refusal_code IS NULL, asked_reverses, NULL), IF(refusal_code IS NULL, asked_hold, NULL), held_change,
                        refusal_code, IF(refusal_code IS NULL, NULL, refusal_facts_text));
            END;
            IF new_id = 0 THEN
                SET new_id = LAST_INSERT_ID();
            ELSE
                SELECT MAX(id), MAX(digest), MAX(refusal), MAX(refusal_facts) INTO known_id, known_digest, known_refusal, known_facts
                  FROM journal_entries WHERE caller = asked_caller AND idempotency_key = asked_key FOR UPDATE;
                IF known_id IS NULL THEN
                    SIGNAL SQLSTATE '23000' SET MESSAGE_TEXT = 'journal_entries: another row than the key''s stands in the way';
                END IF;
            END IF;
        END IF;

        IF new_id IS NULL THEN
            SET answers = CONCAT(answers, IF(answers = '', '', ','), IF(known_digest <> asked_digest, '["key_reused",null,null,null]',
                CONCAT('["replayed",', known_id, ',', COALESCE(JSON_QUOTE(known_refusal), 'null'), ',', COALESCE(known_facts, 'null'), ']')));
        ELSEIF refusal_code IS NOT NULL THEN
            SET answers = CONCAT(answers, IF(answers = '', '', ','), '["refused",', new_id, ',', JSON_QUOTE(refusal_code), ',', COALESCE(refusal_facts_text, 'null'), ']');
        ELSE
            CALL ledger_apply(new_id, item, operation, asked_hold, asked_account, held_change, asked_expires, asked_day, asked_limit IS NOT NULL);
            SET answers = CONCAT(answers, IF(answers = '', '', ','), '["posted",', new_id, ',null,null]');
        END IF;
    END LOOP;
    CLOSE items;
    SET answers = CONCAT('[', answers, ']');
END
--;;
-- For a caller that has its own transaction open: it commits, or rolls all of it back.
CREATE PROCEDURE ledger_post_in(IN batch LONGTEXT)
BEGIN
    DECLARE answers LONGTEXT;
    CALL ledger_post_inner(batch, answers);
    SELECT answers;
END
--;;
CREATE PROCEDURE ledger_post(IN batch LONGTEXT)
BEGIN
    DECLARE answers LONGTEXT;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;
    START TRANSACTION;
    CALL ledger_post_inner(batch, answers);
    COMMIT;
    SELECT answers;
END
