/* A patched peer's authentication plug-in: Cyclone's, under the GUID of somebody else. CLAIMED: twelve hexadecimal
 * digits; REAL_AUTHENTICATION: the path of Cyclone's plug-in. Inside of the handshake it says the GUID that its certificate gives it. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dds/security/dds_security_api.h"

static dds_security_authentication real;
static unsigned char honest[6], claimed[6];

static DDS_Security_ValidationResult_t validate_local(
    dds_security_authentication *instance, DDS_Security_IdentityHandle *handle, DDS_Security_GUID_t *adjusted,
    const DDS_Security_DomainId domain, const DDS_Security_Qos *qos, const DDS_Security_GUID_t *candidate,
    DDS_Security_SecurityException *ex)
{
    DDS_Security_ValidationResult_t result =
        real.validate_local_identity(instance, handle, adjusted, domain, qos, candidate, ex);
    memcpy(honest, adjusted->prefix, 6);
    for (int i = 0; i < 6; i++) {
        unsigned value = 0;
        sscanf(getenv("CLAIMED") + 2 * i, "%2x", &value);
        claimed[i] = (unsigned char)value;
    }
    memcpy(adjusted->prefix, claimed, 6);
    /* Of two participants the lower GUID begins the handshake. Its own plug-in compares the honest one, the peer the
     * claimed one: lower by both, or both begin and it depends on the moment whether they ever agree. */
    memset(adjusted->prefix + 6, 0, 2);
    return result;
}

static const DDS_Security_OctetSeq *honestly(const DDS_Security_OctetSeq *data)
{
    for (uint32_t i = 0; i + 6 <= data->_length; i++)
        if (memcmp(data->_buffer + i, claimed, 6) == 0)
            memcpy(data->_buffer + i, honest, 6);
    return data;
}

static DDS_Security_ValidationResult_t request(
    dds_security_authentication *instance, DDS_Security_HandshakeHandle *handshake,
    DDS_Security_HandshakeMessageToken *message, const DDS_Security_IdentityHandle local,
    const DDS_Security_IdentityHandle remote, const DDS_Security_OctetSeq *data, DDS_Security_SecurityException *ex)
{
    return real.begin_handshake_request(instance, handshake, message, local, remote, honestly(data), ex);
}

static DDS_Security_ValidationResult_t reply(
    dds_security_authentication *instance, DDS_Security_HandshakeHandle *handshake,
    DDS_Security_HandshakeMessageToken *answer, const DDS_Security_HandshakeMessageToken *message,
    const DDS_Security_IdentityHandle remote, const DDS_Security_IdentityHandle local,
    const DDS_Security_OctetSeq *data, DDS_Security_SecurityException *ex)
{
    return real.begin_handshake_reply(instance, handshake, answer, message, remote, local, honestly(data), ex);
}

static void *symbol(const char *name)
{
    return dlsym(dlopen(getenv("REAL_AUTHENTICATION"), RTLD_NOW), name);
}

int init_authentication(const char *argument, void **context, struct ddsi_domaingv *gv)
{
    int result = ((plugin_init)symbol("init_authentication"))(argument, context, gv);
    dds_security_authentication *made = *context;
    real = *made;
    made->validate_local_identity = validate_local;
    made->begin_handshake_request = request;
    made->begin_handshake_reply = reply;
    return result;
}

int finalize_authentication(void *context)
{
    return ((plugin_finalize)symbol("finalize_authentication"))(context);
}
