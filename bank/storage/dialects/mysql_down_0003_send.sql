DROP PROCEDURE payments_send
--;;
DROP PROCEDURE payments_judge
