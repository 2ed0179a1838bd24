"""DTLS 1.2 records (RFC 6347, RFC 9146), pure: octets and keys in, octets out."""
