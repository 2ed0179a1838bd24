// Fast DDS as somebody else's hands: a line of fields separated by tabs says what to do, a line of JSON what came of it.
//
//     peer talk|listen DOMAIN TOPIC TYPE [FOLDER=...] [option=value]...
//
// Orders: "write ROOM CELSIUS COUNTER", "write NUMBER FLOW" or "write TEXT", "dispose KEY", "unregister KEY", "end"
// (tabs between).
// Told: {"ready": true}, {"matched": COUNT}, {"written": COUNT}, {"sample": {...}}, {"disposed": KEY},
// {"unregistered": KEY}, {"incompatible": POLICY'S NUMBER}, {"lost": COUNT} (liveliness).
// Options: credentials (folder with SROS 2's six files), index (of the participant: its ports), partition, durability,
// reliability, strength, lease, manual, depth.

#include "peerPubSubTypes.h"

#include <fastdds/dds/domain/DomainParticipant.hpp>
#include <fastdds/dds/domain/DomainParticipantFactory.hpp>
#include <fastdds/dds/publisher/DataWriter.hpp>
#include <fastdds/dds/publisher/DataWriterListener.hpp>
#include <fastdds/dds/publisher/Publisher.hpp>
#include <fastdds/dds/subscriber/DataReader.hpp>
#include <fastdds/dds/subscriber/DataReaderListener.hpp>
#include <fastdds/dds/subscriber/SampleInfo.hpp>
#include <fastdds/dds/subscriber/Subscriber.hpp>
#include <fastdds/rtps/transport/UDPv4TransportDescriptor.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

using namespace eprosima::fastdds::dds;
namespace rtps = eprosima::fastrtps::rtps;
using eprosima::fastrtps::Duration_t;

namespace {

using Options = std::map<std::string, std::string>;

std::mutex output;

void tell(const std::string& what) {
    std::lock_guard<std::mutex> guard(output);
    std::cout << what << std::endl;
}

std::string in_quotes(const std::string& text) {
    std::string found = "\"";
    for (const char each : text) {
        const auto octet = static_cast<unsigned char>(each);
        if (each == '"' || each == '\\') {
            found += '\\';
            found += each;
        } else if (octet < 0x20) {
            char escaped[7];
            std::snprintf(escaped, sizeof escaped, "\\u%04x", octet);
            found += escaped;
        } else {
            found += each;
        }
    }
    return found + "\"";
}

std::vector<std::string> fields(const std::string& line) {
    std::vector<std::string> found;
    std::istringstream stream(line);
    for (std::string each; std::getline(stream, each, '\t');) {
        found.push_back(each);
    }
    return found;
}

std::string option(const Options& options, const std::string& name, const std::string& otherwise = "") {
    const auto found = options.find(name);
    return found == options.end() ? otherwise : found->second;
}

Duration_t seconds(const std::string& text) {
    const double value = std::stod(text);
    const double whole = std::floor(value);
    return Duration_t(static_cast<int32_t>(whole), static_cast<uint32_t>((value - whole) * 1e9));
}

void security(DomainParticipantQos& qos, const std::string& folder) {
    auto& properties = qos.properties().properties();
    const auto add = [&](const std::string& name, const std::string& value) { properties.emplace_back(name, value); };
    const std::string at = "file://" + folder + "/";
    const std::string identity = "dds.sec.auth.builtin.PKI-DH.";
    const std::string access = "dds.sec.access.builtin.Access-Permissions.";
    add("dds.sec.auth.plugin", "builtin.PKI-DH");
    add(identity + "identity_ca", at + "identity_ca.cert.pem");
    add(identity + "identity_certificate", at + "cert.pem");
    add(identity + "private_key", at + "key.pem");
    add("dds.sec.access.plugin", "builtin.Access-Permissions");
    add(access + "permissions_ca", at + "permissions_ca.cert.pem");
    add(access + "governance", at + "governance.p7s");
    add(access + "permissions", at + "permissions.p7s");
    add("dds.sec.crypto.plugin", "builtin.AES-GCM-GMAC");
}

// Loopback without multicast: what is not whitelisted isn't used, and peers are looked for at 127.0.0.1's ports.
void loopback(DomainParticipantQos& qos) {
    auto transport = std::make_shared<eprosima::fastdds::rtps::UDPv4TransportDescriptor>();
    transport->interfaceWhiteList.push_back("127.0.0.1");
    transport->maxInitialPeersRange = 64;
    qos.transport().use_builtin_transports = false;
    qos.transport().user_transports.push_back(transport);
    rtps::Locator_t here;
    rtps::IPLocator::setIPv4(here, "127.0.0.1");
    auto& builtin = qos.wire_protocol().builtin;
    builtin.metatrafficUnicastLocatorList.push_back(here);
    builtin.initialPeersList.push_back(here);
    builtin.discovery_config.leaseDuration = Duration_t(10, 0);
    builtin.discovery_config.leaseDuration_announcementperiod = Duration_t(1, 0);
    qos.wire_protocol().default_unicast_locator_list.push_back(here);
}

template<class Qos>
void quality(Qos& qos, const Options& options) {
    const bool reliable = option(options, "reliability", "reliable") == "reliable";
    qos.reliability().kind = reliable ? RELIABLE_RELIABILITY_QOS : BEST_EFFORT_RELIABILITY_QOS;
    qos.history().kind = KEEP_LAST_HISTORY_QOS;
    qos.history().depth = std::stoi(option(options, "depth", "100"));
    const bool kept = option(options, "durability", "volatile") == "transient-local";
    qos.durability().kind = kept ? TRANSIENT_LOCAL_DURABILITY_QOS : VOLATILE_DURABILITY_QOS;
    if (options.count("strength")) {
        qos.ownership().kind = EXCLUSIVE_OWNERSHIP_QOS;
    }
    if (options.count("lease")) {
        qos.liveliness().kind = options.count("manual") ? MANUAL_BY_TOPIC_LIVELINESS_QOS : AUTOMATIC_LIVELINESS_QOS;
        qos.liveliness().lease_duration = seconds(options.at("lease"));
    }
    qos.resource_limits().max_instances = 0;  // as many as come: these peers live shortly
    qos.resource_limits().max_samples_per_instance = 0;
    qos.resource_limits().max_samples = 0;
}

std::string json(const office::Temperature& sample) {
    std::ostringstream text;
    text.precision(17);
    text << "{\"room\": " << in_quotes(sample.room()) << ", \"celsius\": " << sample.celsius()
         << ", \"counter\": " << sample.counter() << "}";
    return text.str();
}

std::string json(const std_msgs::msg::dds_::String_& sample) {
    return "{\"data\": " + in_quotes(sample.data()) + "}";
}

std::string json(const office::Valve& sample) {
    std::ostringstream text;
    text.precision(17);
    text << "{\"number\": " << sample.number() << ", \"flow\": " << sample.flow() << "}";
    return text.str();
}

std::string key(const office::Temperature& sample) {
    return in_quotes(sample.room());
}

std::string key(const office::Valve& sample) {
    return std::to_string(sample.number());
}

std::string key(const std_msgs::msg::dds_::String_&) {
    return "null";
}

bool fill(office::Temperature& sample, const std::vector<std::string>& words) {
    if (words.size() < 2) {
        return false;
    }
    sample.room(words[1]);
    sample.celsius(words.size() > 2 ? std::stod(words[2]) : 0.0);
    sample.counter(words.size() > 3 ? std::stoll(words[3]) : 0);
    return true;
}

bool fill(office::Valve& sample, const std::vector<std::string>& words) {
    if (words.size() < 2) {
        return false;
    }
    sample.number(std::stoi(words[1]));
    sample.flow(words.size() > 2 ? std::stod(words[2]) : 0.0);
    return true;
}

bool fill(std_msgs::msg::dds_::String_& sample, const std::vector<std::string>& words) {
    if (words.size() < 2) {
        return false;
    }
    sample.data(words[1]);
    return true;
}

class WriterEars : public DataWriterListener {
    void on_publication_matched(DataWriter*, const PublicationMatchedStatus& status) override {
        tell("{\"matched\": " + std::to_string(status.current_count) + "}");
    }
    void on_offered_incompatible_qos(DataWriter*, const OfferedIncompatibleQosStatus& status) override {
        tell("{\"incompatible\": " + std::to_string(status.last_policy_id) + "}");
    }
};

template<class Sample>
class ReaderEars : public DataReaderListener {
    void on_subscription_matched(DataReader*, const SubscriptionMatchedStatus& status) override {
        tell("{\"matched\": " + std::to_string(status.current_count) + "}");
    }
    void on_requested_incompatible_qos(DataReader*, const RequestedIncompatibleQosStatus& status) override {
        tell("{\"incompatible\": " + std::to_string(status.last_policy_id) + "}");
    }
    void on_liveliness_changed(DataReader*, const eprosima::fastrtps::LivelinessChangedStatus& status) override {
        if (status.not_alive_count_change > 0) {
            tell("{\"lost\": " + std::to_string(status.not_alive_count) + "}");
        }
    }
    void on_data_available(DataReader* reader) override {
        Sample sample;
        SampleInfo info;
        while (reader->take_next_sample(&sample, &info) == ReturnCode_t::RETCODE_OK) {
            if (info.valid_data) {
                keys[info.instance_handle] = key(sample);
                tell("{\"sample\": " + json(sample) + "}");
                continue;
            }
            const bool disposed = info.instance_state == NOT_ALIVE_DISPOSED_INSTANCE_STATE;
            const auto found = keys.find(info.instance_handle);
            const std::string whose = found == keys.end() ? "null" : found->second;  // an instance it cannot tell
            tell((disposed ? "{\"disposed\": " : "{\"unregistered\": ") + whose + "}");
        }
    }

    // Fast DDS 2.9 has no get_key_value().
    std::map<InstanceHandle_t, std::string> keys;
};

template<class Sample>
int talk(DomainParticipant* participant, Topic* topic, const Options& options) {
    PublisherQos group = PUBLISHER_QOS_DEFAULT;
    if (options.count("partition")) {
        group.partition().push_back(options.at("partition").c_str());
    }
    DataWriterQos qos = DATAWRITER_QOS_DEFAULT;
    quality(qos, options);
    if (options.count("strength")) {
        qos.ownership_strength().value = static_cast<uint32_t>(std::stoul(options.at("strength")));
    }
    if (options.count("lease")) {
        const Duration_t lease = qos.liveliness().lease_duration;
        const double third = (lease.seconds + lease.nanosec / 1e9) / 3;
        qos.liveliness().announcement_period = seconds(std::to_string(third));
    }
    qos.publish_mode().kind = SYNCHRONOUS_PUBLISH_MODE;
    WriterEars ears;
    Publisher* publisher = participant->create_publisher(group);
    DataWriter* writer = publisher == nullptr ? nullptr : publisher->create_datawriter(topic, qos, &ears);
    if (writer == nullptr) {
        tell("{\"refused\": \"the writer\"}");
        return 1;
    }
    tell("{\"ready\": true}");
    int written = 0;
    for (std::string line; std::getline(std::cin, line);) {
        const auto words = fields(line);
        Sample sample;
        if (words.empty() || words[0] == "end") {
            break;
        }
        if (!fill(sample, words)) {
            tell("{\"misunderstood\": " + in_quotes(line) + "}");
        } else if (words[0] == "write") {
            if (writer->write(&sample)) {
                tell("{\"written\": " + std::to_string(++written) + "}");
            } else {
                tell("{\"unwritten\": " + in_quotes(line) + "}");
            }
        } else {
            const auto code = words[0] == "dispose" ? writer->dispose(&sample, HANDLE_NIL)
                                                    : writer->unregister_instance(&sample, HANDLE_NIL);
            tell("{\"code\": " + std::to_string(code()) + "}");
        }
    }
    writer->wait_for_acknowledgments(Duration_t(2, 0));
    publisher->delete_datawriter(writer);
    participant->delete_publisher(publisher);
    return 0;
}

template<class Sample>
int listen(DomainParticipant* participant, Topic* topic, const Options& options) {
    SubscriberQos group = SUBSCRIBER_QOS_DEFAULT;
    if (options.count("partition")) {
        group.partition().push_back(options.at("partition").c_str());
    }
    DataReaderQos qos = DATAREADER_QOS_DEFAULT;
    quality(qos, options);
    ReaderEars<Sample> ears;
    Subscriber* subscriber = participant->create_subscriber(group);
    DataReader* reader = subscriber == nullptr ? nullptr : subscriber->create_datareader(topic, qos, &ears);
    if (reader == nullptr) {
        tell("{\"refused\": \"the reader\"}");
        return 1;
    }
    tell("{\"ready\": true}");
    for (std::string line; std::getline(std::cin, line) && line != "end";) {
    }
    subscriber->delete_datareader(reader);
    participant->delete_subscriber(subscriber);
    return 0;
}

template<class Sample, class Support>
int act(bool talks, DomainParticipant* participant, const std::string& name, const std::string& type,
        const Options& options) {
    TypeSupport support(new Support());
    if (support.register_type(participant, type) != ReturnCode_t::RETCODE_OK) {
        tell("{\"refused\": \"the type\"}");
        return 1;
    }
    Topic* topic = participant->create_topic(name, type, TOPIC_QOS_DEFAULT);
    if (topic == nullptr) {
        tell("{\"refused\": \"the topic\"}");
        return 1;
    }
    const int status = talks ? talk<Sample>(participant, topic, options) : listen<Sample>(participant, topic, options);
    participant->delete_topic(topic);
    return status;
}

}  // namespace

int main(int count, char** arguments) {
    if (count < 5) {
        std::cerr << "usage: peer talk|listen DOMAIN TOPIC TYPE [option=value]..." << std::endl;
        return 2;
    }
    const bool talks = std::string(arguments[1]) == "talk";
    const std::string topic = arguments[3], type = arguments[4];
    Options options;
    for (int each = 5; each < count; ++each) {
        const std::string text = arguments[each];
        const auto at = text.find('=');
        options[text.substr(0, at)] = at == std::string::npos ? "" : text.substr(at + 1);
    }
    DomainParticipantQos qos = PARTICIPANT_QOS_DEFAULT;
    qos.name("Fast DDS peer");
    loopback(qos);
    if (options.count("credentials")) {
        security(qos, options.at("credentials"));
    }
    if (options.count("index")) {
        qos.wire_protocol().participant_id = std::stoi(options.at("index"));
    }
    auto* factory = DomainParticipantFactory::get_instance();
    DomainParticipant* participant = factory->create_participant(static_cast<uint32_t>(std::stoul(arguments[2])), qos);
    if (participant == nullptr) {
        tell("{\"refused\": \"the participant\"}");
        return 1;
    }
    using Temperature = office::Temperature;
    using String = std_msgs::msg::dds_::String_;
    int status = 2;
    if (type == "office::Temperature") {
        status = act<Temperature, office::TemperaturePubSubType>(talks, participant, topic, type, options);
    } else if (type == "office::Valve") {
        status = act<office::Valve, office::ValvePubSubType>(talks, participant, topic, type, options);
    } else if (type == "std_msgs::msg::dds_::String_") {
        status = act<String, std_msgs::msg::dds_::String_PubSubType>(talks, participant, topic, type, options);
    } else {
        std::cerr << "no such type: " << type << std::endl;
    }
    factory->delete_participant(participant);
    return status;
}
