DROP FUNCTION payments_send(jsonb);
