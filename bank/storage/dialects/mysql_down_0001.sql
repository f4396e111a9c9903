DROP TABLE postings_truncate_guard, audit_records_truncate_guard
--;;
DROP PROCEDURE ledger_post
--;;
DROP PROCEDURE ledger_post_in
--;;
DROP PROCEDURE ledger_post_inner
--;;
DROP PROCEDURE ledger_apply
--;;
DROP PROCEDURE ledger_refusal
