DROP FUNCTION ledger_post(jsonb), ledger_apply(bigint, jsonb, bigint), ledger_refusal(jsonb);
DROP FUNCTION refuse_change() CASCADE;
