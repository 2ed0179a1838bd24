"""Cyclone DDS 0.10's C interface as far as the hub needs it, by cffi in ABI mode: any libddsc of that series.

The Python binding makes topics out of types; samples don't go through it, for three reasons seen with 0.10.5. It writes
and compares the keys of dispose and unregister in another form than those of samples, so that they never meet their
instance; it takes keys out of octets that nobody has checked; and its own serialiser is slow. What is made here
therefore has Cyclone's own form of a type (its topic descriptor), which checks every sample in C before it is seen.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any, Final

import cffi

# dds/dds.h, dds/ddsc/dds_public_{qos,status}.h and dds/ddsi/ddsi_serdata.h of 0.10: names and shapes only.
_DECLARATIONS: Final = """
typedef int32_t entity_t;
typedef struct dds_qos dds_qos_t;
typedef struct { uint8_t v[16]; } guid_t;
typedef struct {
  uint32_t sample_state, view_state, instance_state; _Bool valid_data; int64_t source_timestamp;
  uint64_t instance_handle, publication_handle; uint32_t generations[5];
} sample_info_t;
typedef struct { guid_t key; dds_qos_t *qos; } participant_t;
typedef struct {
  guid_t key; guid_t participant_key; uint64_t participant_handle; char *topic_name; char *type_name; dds_qos_t *qos;
} endpoint_t;
typedef struct { uint32_t total; int32_t change; uint32_t last; } incompatible_t;
typedef struct { uint32_t total; int32_t change; uint64_t last; } deadline_t;
typedef struct { uint32_t alive, not_alive; int32_t alive_change, not_alive_change; uint64_t last; } liveliness_t;
typedef struct { uint32_t total; int32_t change; uint32_t current; int32_t current_change; uint64_t last; } matched_t;
typedef struct { uint32_t total; int32_t change; } lost_t;

struct serdata {
  const void *ops; uint32_t hash; uint32_t references; int kind; const void *type;
  int64_t timestamp; uint32_t statusinfo; int64_t written;
};
typedef struct { void *base; size_t size; } iovec_t;
typedef struct { unsigned char *data; uint32_t size; } meta_t;
extern char ddsi_sertype_ops_default;

uint32_t ddsi_serdata_size(const struct serdata *serdata);
void ddsi_serdata_to_ser(const struct serdata *serdata, size_t offset, size_t size, void *into);
struct serdata *ddsi_serdata_from_ser_iov(const void *type, int kind, size_t count, const iovec_t *parts, size_t size);
void ddsi_serdata_unref(struct serdata *serdata);
int32_t dds_takecdr(entity_t reader, struct serdata **buffer, uint32_t most, sample_info_t *infos, uint32_t mask);
int32_t dds_forwardcdr(entity_t writer, struct serdata *serdata);

entity_t dds_create_domain(uint32_t domain, const char *configuration);
entity_t dds_create_participant(uint32_t domain, const dds_qos_t *qos, const void *listener);
entity_t dds_create_topic(entity_t participant, const void *descriptor, const char *name, const dds_qos_t *qos,
                          const void *listener);
entity_t dds_create_subscriber(entity_t participant, const dds_qos_t *qos, const void *listener);
entity_t dds_create_publisher(entity_t participant, const dds_qos_t *qos, const void *listener);
entity_t dds_create_reader(entity_t parent, entity_t topic, const dds_qos_t *qos, const void *listener);
entity_t dds_create_writer(entity_t parent, entity_t topic, const dds_qos_t *qos, const void *listener);
int32_t dds_delete(entity_t entity);
int32_t dds_get_guid(entity_t entity, guid_t *guid);
int32_t dds_wait_for_acks(entity_t writer, int64_t timeout);
int32_t dds_get_instance_handle(entity_t entity, uint64_t *handle);
const char *dds_strretcode(int32_t code);
void dds_free(void *memory);

int32_t dds_get_typeinfo(entity_t entity, void **information);
int32_t dds_free_typeinfo(void *information);
int32_t dds_create_topic_descriptor(int scope, entity_t participant, const void *information, int64_t timeout,
                                    void **descriptor);
int32_t dds_delete_topic_descriptor(void *descriptor);
int32_t dds_topic_pin(entity_t topic, void **pinned);
void dds_topic_unpin(void *pinned);

entity_t dds_create_waitset(entity_t participant);
entity_t dds_create_guardcondition(entity_t participant);
int32_t dds_set_guardcondition(entity_t condition, _Bool triggered);
entity_t dds_create_readcondition(entity_t reader, uint32_t mask);
int32_t dds_waitset_attach(entity_t waitset, entity_t entity, intptr_t value);
int32_t dds_waitset_detach(entity_t waitset, entity_t entity);
int32_t dds_waitset_wait(entity_t waitset, intptr_t *values, size_t count, int64_t timeout);
int32_t dds_set_status_mask(entity_t entity, uint32_t mask);
int32_t dds_take_status(entity_t entity, uint32_t *status, uint32_t mask);
int32_t dds_get_requested_incompatible_qos_status(entity_t reader, incompatible_t *status);
int32_t dds_get_offered_incompatible_qos_status(entity_t writer, incompatible_t *status);
int32_t dds_get_requested_deadline_missed_status(entity_t reader, deadline_t *status);
int32_t dds_get_liveliness_changed_status(entity_t reader, liveliness_t *status);
int32_t dds_get_subscription_matched_status(entity_t reader, matched_t *status);
int32_t dds_get_publication_matched_status(entity_t writer, matched_t *status);
int32_t dds_get_sample_lost_status(entity_t reader, lost_t *status);
int32_t dds_get_matched_publications(entity_t reader, uint64_t *handles, size_t count);
int32_t dds_get_matched_subscriptions(entity_t writer, uint64_t *handles, size_t count);
endpoint_t *dds_get_matched_publication_data(entity_t reader, uint64_t handle);
endpoint_t *dds_get_matched_subscription_data(entity_t writer, uint64_t handle);
void dds_builtintopic_free_endpoint(endpoint_t *endpoint);
int32_t dds_take(entity_t reader, void **buffer, sample_info_t *infos, size_t size, uint32_t most);
int32_t dds_return_loan(entity_t reader, void **buffer, int32_t count);

dds_qos_t *dds_create_qos(void);
void dds_delete_qos(dds_qos_t *qos);
void dds_qset_userdata(dds_qos_t *qos, const void *value, size_t size);
void dds_qset_durability(dds_qos_t *qos, int kind);
void dds_qset_history(dds_qos_t *qos, int kind, int32_t depth);
void dds_qset_resource_limits(dds_qos_t *qos, int32_t samples, int32_t instances, int32_t samples_per_instance);
void dds_qset_lifespan(dds_qos_t *qos, int64_t lifespan);
void dds_qset_deadline(dds_qos_t *qos, int64_t deadline);
void dds_qset_latency_budget(dds_qos_t *qos, int64_t duration);
void dds_qset_ownership(dds_qos_t *qos, int kind);
void dds_qset_ownership_strength(dds_qos_t *qos, int32_t value);
void dds_qset_liveliness(dds_qos_t *qos, int kind, int64_t lease);
void dds_qset_partition1(dds_qos_t *qos, const char *name);
void dds_qset_reliability(dds_qos_t *qos, int kind, int64_t blocking);
void dds_qset_destination_order(dds_qos_t *qos, int kind);
void dds_qset_writer_data_lifecycle(dds_qos_t *qos, _Bool autodispose);
void dds_qset_reader_data_lifecycle(dds_qos_t *qos, int64_t without_writers, int64_t disposed);
void dds_qset_durability_service(dds_qos_t *qos, int64_t cleanup, int history, int32_t depth, int32_t samples,
                                 int32_t instances, int32_t samples_per_instance);
void dds_qset_ignorelocal(dds_qos_t *qos, int kind);
void dds_qset_prop(dds_qos_t *qos, const char *name, const char *value);
void dds_qset_data_representation(dds_qos_t *qos, uint32_t count, const int16_t *values);
void dds_qset_entity_name(dds_qos_t *qos, const char *name);
_Bool dds_qget_userdata(const dds_qos_t *qos, void **value, size_t *size);
_Bool dds_qget_durability(const dds_qos_t *qos, int *kind);
_Bool dds_qget_history(const dds_qos_t *qos, int *kind, int32_t *depth);
_Bool dds_qget_lifespan(const dds_qos_t *qos, int64_t *lifespan);
_Bool dds_qget_deadline(const dds_qos_t *qos, int64_t *deadline);
_Bool dds_qget_ownership(const dds_qos_t *qos, int *kind);
_Bool dds_qget_ownership_strength(const dds_qos_t *qos, int32_t *value);
_Bool dds_qget_liveliness(const dds_qos_t *qos, int *kind, int64_t *lease);
_Bool dds_qget_reliability(const dds_qos_t *qos, int *kind, int64_t *blocking);
_Bool dds_qget_partition(const dds_qos_t *qos, uint32_t *count, char ***names);
_Bool dds_qget_entity_name(const dds_qos_t *qos, char **name);
"""

INFINITY: Final = 0x7FFFFFFFFFFFFFFF  # DDS_INFINITY
DATA: Final = 2  # SDK_DATA: a whole sample
KEY: Final = 1  # SDK_KEY
DISPOSED: Final = 1  # NN_STATUSINFO_DISPOSE (RTPS 2.3 section 9.6.3.9)
UNREGISTERED: Final = 2  # NN_STATUSINFO_UNREGISTER

_UNSPECIFIED: Final = -1  # its text is "Error"
TIMEOUT: Final = -10
PRECONDITION_NOT_MET: Final = -4
NOT_ALLOWED_BY_SECURITY: Final = -13

REQUESTED_DEADLINE_MISSED: Final = 1 << 2
OFFERED_INCOMPATIBLE_QOS: Final = 1 << 3
REQUESTED_INCOMPATIBLE_QOS: Final = 1 << 4
SAMPLE_LOST: Final = 1 << 5
LIVELINESS_CHANGED: Final = 1 << 10
PUBLICATION_MATCHED: Final = 1 << 11
SUBSCRIPTION_MATCHED: Final = 1 << 12

ANY_STATE: Final = 0x7F  # every sample state, view state and instance state
PARTICIPANT_TOPIC: Final = 0x7FFF0001  # DDS_BUILTIN_TOPIC_DCPSPARTICIPANT
PUBLICATION_TOPIC: Final = 0x7FFF0003
SUBSCRIPTION_TOPIC: Final = 0x7FFF0004


class DdsError(Exception):
    """What Cyclone DDS refused, as one sentence that says what to do next. `code` is its DDS_RETCODE, 0 for none."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code: Final = code


@cache
def ffi() -> Any:
    """The declarations, parsed when DDS is used first: a hub without DDS doesn't spend the time."""
    declared = cffi.FFI()
    declared.cdef(_DECLARATIONS)
    return declared


@cache
def library() -> Any:
    """The functions of the libddsc that the Python binding has loaded; ImportError or OSError when there is none."""
    from cyclonedds.internal import DDS

    return ffi().dlopen(DDS._dll_handle._name)


def library_path() -> str:
    """The file that libddsc was loaded from: the security plug-ins lie beside it, or below it."""
    library()
    with open("/proc/self/maps", encoding="utf-8") as maps:
        for line in maps:
            path = line.rstrip("\n").rpartition(" ")[2]
            if os.path.basename(path).startswith("libddsc."):
                return path
    return ""


def checked(code: int, doing: str) -> int:
    """`code`, when it is no error; otherwise DdsError that begins with `doing`."""
    if code >= 0:
        return code
    if code == _UNSPECIFIED:
        raise DdsError(doing, code)
    reason = ffi().string(library().dds_strretcode(code)).decode()
    if code == NOT_ALLOWED_BY_SECURITY:
        reason = (
            "signed governance or permissions forbid it: give the device the right, then new documents "
            "(bridgehead dds permissions)"
        )
    raise DdsError(f"{doing}: {reason}", code)
