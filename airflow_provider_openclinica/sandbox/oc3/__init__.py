"""An OpenClinica 3: form login and ODM, an API key and JSON, SOAP; over the same stored data as version 4."""
