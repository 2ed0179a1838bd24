/* An authentication plug-in for Cyclone DDS: Cyclone's own, and one comparison more.
 *
 * DDS Security 1.1 binds the GUID of a participant to its certificate (section 9.3.3), and Cyclone DDS 0.10 compares the
 * certificate with the GUID that stands in the handshake (c.pdata). But it never compares that one with the GUID under
 * which the peer is known, in its RTPS headers: a patched peer with any valid certificate can bear the GUID of another
 * device. Here both have to be the same, or the handshake fails.
 *
 * tools/cyclonedds.py builds it. AUTHENTICATION is the path of Cyclone's plug-in.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dds/security/core/dds_security_serialize.h"
#include "dds/security/core/dds_security_utils.h"
#include "dds/security/dds_security_api.h"

#define PREFIX sizeof(DDS_Security_GuidPrefix_t)

/* What is known of a handle of the plug-in: a remote identity's GUID prefix, or a handshake's remote identity. */
struct known {
    int64_t handle;
    int64_t remote;
    unsigned char prefix[PREFIX];
    struct known *next;
};

static dds_security_authentication cyclone;
static struct known *all;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct known **find(int64_t handle)
{
    struct known **at = &all;
    while (*at && (*at)->handle != handle)
        at = &(*at)->next;
    return at;
}

/* False when there is no memory. */
static int note(int64_t handle, int64_t remote, const unsigned char *prefix)
{
    pthread_mutex_lock(&lock);
    struct known **at = find(handle);
    if (!*at)
        *at = calloc(1, sizeof **at);
    struct known *one = *at;
    if (one) {
        one->handle = handle;
        one->remote = remote;
        if (prefix)
            memcpy(one->prefix, prefix, PREFIX);
    }
    pthread_mutex_unlock(&lock);
    return one != NULL;
}

static void forget(int64_t handle)
{
    pthread_mutex_lock(&lock);
    struct known **at = find(handle), *gone = *at;
    if (gone) {
        *at = gone->next;
        free(gone);
    }
    pthread_mutex_unlock(&lock);
}

/* The prefix of a remote identity, or of the one that a handshake is with; false: nothing is known of it. */
static int prefix_of(int64_t handle, int is_handshake, unsigned char *prefix)
{
    pthread_mutex_lock(&lock);
    struct known *one = *find(handle);
    if (one && is_handshake)
        one = *find(one->remote);
    if (one)
        memcpy(prefix, one->prefix, PREFIX);
    pthread_mutex_unlock(&lock);
    return one != NULL;
}

static DDS_Security_ValidationResult_t refused(DDS_Security_SecurityException *ex, const char *because)
{
    DDS_Security_Exception_set(ex, "Authentication", DDS_SECURITY_ERR_UNDEFINED_CODE, DDS_SECURITY_VALIDATION_FAILED,
                               "identity guard: %s", because);
    return DDS_SECURITY_VALIDATION_FAILED;
}

/* NULL, or why the token is refused. One without participant data (the last of a handshake) is left to Cyclone, which
 * requires them where they belong. The same functions read them as Cyclone's plug-in uses. */
static const char *fault(const DDS_Security_HandshakeMessageToken *token, int64_t handle, int is_handshake)
{
    const DDS_Security_BinaryProperty_t *data = DDS_Security_DataHolder_find_binary_property(token, "c.pdata");
    if (!data)
        return NULL;
    unsigned char known_as[PREFIX];
    if (!prefix_of(handle, is_handshake, known_as))
        return "a handshake with somebody unknown";
    const char *because = "the participant data cannot be read";
    DDS_Security_SecurityException ignored = DDS_SECURITY_EXCEPTION_INIT;
    DDS_Security_Deserializer reader = DDS_Security_Deserializer_new(data->value._buffer, data->value._length);
    DDS_Security_ParticipantBuiltinTopicData *found = DDS_Security_ParticipantBuiltinTopicData_alloc();
    if (reader && found && DDS_Security_Deserialize_ParticipantBuiltinTopicData(reader, found, &ignored)) {
        DDS_Security_BuiltinTopicKey_t key;
        DDS_Security_BuiltinTopicKeyBE(key, found->key);
        because = memcmp(key, known_as, PREFIX) == 0 ? NULL : "the participant bears the GUID of another one";
    }
    DDS_Security_Exception_reset(&ignored);
    if (found)
        DDS_Security_ParticipantBuiltinTopicData_free(found);
    if (reader)
        DDS_Security_Deserializer_free(reader);
    return because;
}

static DDS_Security_ValidationResult_t validate_remote_identity(
    dds_security_authentication *instance, DDS_Security_IdentityHandle *remote,
    DDS_Security_AuthRequestMessageToken *local_request, const DDS_Security_AuthRequestMessageToken *remote_request,
    const DDS_Security_IdentityHandle local, const DDS_Security_IdentityToken *token, const DDS_Security_GUID_t *guid,
    DDS_Security_SecurityException *ex)
{
    DDS_Security_ValidationResult_t result =
        cyclone.validate_remote_identity(instance, remote, local_request, remote_request, local, token, guid, ex);
    if (result != DDS_SECURITY_VALIDATION_FAILED && !note(*remote, 0, guid->prefix))
        return refused(ex, "no memory");
    return result;
}

static DDS_Security_ValidationResult_t begin_handshake_request(
    dds_security_authentication *instance, DDS_Security_HandshakeHandle *handshake,
    DDS_Security_HandshakeMessageToken *message, const DDS_Security_IdentityHandle local,
    const DDS_Security_IdentityHandle remote, const DDS_Security_OctetSeq *data, DDS_Security_SecurityException *ex)
{
    DDS_Security_ValidationResult_t result =
        cyclone.begin_handshake_request(instance, handshake, message, local, remote, data, ex);
    if (result != DDS_SECURITY_VALIDATION_FAILED && !note(*handshake, remote, NULL))
        return refused(ex, "no memory");
    return result;
}

static DDS_Security_ValidationResult_t begin_handshake_reply(
    dds_security_authentication *instance, DDS_Security_HandshakeHandle *handshake,
    DDS_Security_HandshakeMessageToken *answer, const DDS_Security_HandshakeMessageToken *message,
    const DDS_Security_IdentityHandle remote, const DDS_Security_IdentityHandle local,
    const DDS_Security_OctetSeq *data, DDS_Security_SecurityException *ex)
{
    const char *because = fault(message, remote, 0);
    if (because)
        return refused(ex, because);
    DDS_Security_ValidationResult_t result =
        cyclone.begin_handshake_reply(instance, handshake, answer, message, remote, local, data, ex);
    if (result != DDS_SECURITY_VALIDATION_FAILED && !note(*handshake, remote, NULL))
        return refused(ex, "no memory");
    return result;
}

static DDS_Security_ValidationResult_t process_handshake(
    dds_security_authentication *instance, DDS_Security_HandshakeMessageToken *answer,
    const DDS_Security_HandshakeMessageToken *message, const DDS_Security_HandshakeHandle handshake,
    DDS_Security_SecurityException *ex)
{
    const char *because = fault(message, handshake, 1);
    if (because)
        return refused(ex, because);
    return cyclone.process_handshake(instance, answer, message, handshake, ex);
}

static DDS_Security_boolean return_handshake_handle(
    dds_security_authentication *instance, const DDS_Security_HandshakeHandle handshake,
    DDS_Security_SecurityException *ex)
{
    forget(handshake);
    return cyclone.return_handshake_handle(instance, handshake, ex);
}

static DDS_Security_boolean return_identity_handle(
    dds_security_authentication *instance, const DDS_Security_IdentityHandle identity,
    DDS_Security_SecurityException *ex)
{
    forget(identity);
    return cyclone.return_identity_handle(instance, identity, ex);
}

static void *symbol(const char *name)
{
    void *library = dlopen(AUTHENTICATION, RTLD_NOW | RTLD_LOCAL); /* kept open: its code is in use from now on */
    return library ? dlsym(library, name) : NULL;
}

/* Called by Cyclone once for each domain, one at a time. */
__attribute__((visibility("default"))) int init_authentication(
    const char *argument, void **context, struct ddsi_domaingv *gv)
{
    plugin_init init = (plugin_init)symbol("init_authentication");
    if (!init)
        return -1;
    int result = init(argument, context, gv);
    if (result != 0)
        return result;
    dds_security_authentication *made = *context;
    if (!cyclone.process_handshake)
        cyclone = *made; /* the same for every domain, whose threads may be reading it */
    made->validate_remote_identity = validate_remote_identity;
    made->begin_handshake_request = begin_handshake_request;
    made->begin_handshake_reply = begin_handshake_reply;
    made->process_handshake = process_handshake;
    made->return_handshake_handle = return_handshake_handle;
    made->return_identity_handle = return_identity_handle;
    return 0;
}

__attribute__((visibility("default"))) int finalize_authentication(void *context)
{
    plugin_finalize finalize = (plugin_finalize)symbol("finalize_authentication");
    return finalize ? finalize(context) : -1;
}
