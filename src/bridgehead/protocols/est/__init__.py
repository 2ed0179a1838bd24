"""Enrolment over Secure Transport (RFC 7030), with revocation lists and OCSP beside it, over HTTP/1.1."""
