//! Owns the attacks on the network and on sockets of other people: what a listener of the harness hears.

use super::attack::Family::Network;
use super::attack::Feasible::{AsRoot, Never};
use super::attack::Sight::{Reached, ReachedBack, Recorded, RefMoved};
use super::attack::{Attack, Door, attack};

pub(super) fn attacks() -> Vec<Attack> {
    let net = |name: &str, what, tries: &str, sight| attack(Network, name, what, tries, sight);
    let turno = "cd '@REPO@'; export TURNO_STATE_DIR='@STATE@'; '@TURNO@' ";
    vec![
        net("tcp", "TCP to a listener of this machine", "tcp 127.0.0.1 @TCP@ \"$MARK\"", Reached(Door::Tcp)),
        net("tcp-v6", "TCP over IPv6", "perl -MSocket=:all -e 'socket(S,PF_INET6,SOCK_STREAM,0); connect(S,pack_sockaddr_in6(@TCP6@,inet_pton(AF_INET6,\"::1\"))); syswrite S,$ARGV[0]' \"$MARK\"", Reached(Door::Tcp)),
        net("tcp-own-address", "TCP to this machine by its own address", "tcp @ADDRESS@ @TCP@ \"$MARK\"", Reached(Door::Tcp)),
        net("tcp-shell", "TCP by the shell's own means", "bash -c 'echo \"$0\" > /dev/tcp/127.0.0.1/@TCP@' \"$MARK\"", Reached(Door::Tcp)),
        net("udp", "UDP", "udp @UDP@ \"$MARK\"", Reached(Door::Udp)),
        net("dns", "a DNS question that carries words out", "perl -MSocket -e 'socket(S,PF_INET,SOCK_DGRAM,0); $m=$ARGV[0]; send(S,pack(\"n6\",7,256,1,0,0,0).chr(length $m).$m.\"\\0\".pack(\"n2\",1,1),0,pack_sockaddr_in(@UDP@,inet_aton(\"127.0.0.1\")))' \"$MARK\"", Reached(Door::Udp)),
        net("raw", "a packet by a raw socket", "perl -MSocket -e 'socket(S,PF_INET,SOCK_RAW,17) or exit; $m=$ARGV[0]; send(S,pack(\"n4\",4444,@UDP@,8+length $m,0).$m,0,pack_sockaddr_in(0,inet_aton(\"127.0.0.1\")))' \"$MARK\"", Reached(Door::Udp))
            .if_(AsRoot("raw sockets are refused to a normal user")),
        net("proxied", "through the proxy that the sandbox offers, to this machine itself", "p=${HTTP_PROXY:-${http_proxy:-http://127.0.0.1:@TCP@}}; p=${p#http://}; p=${p%/}; tcp ${p%:*} ${p##*:} \"CONNECT 127.0.0.1:@TCP@ HTTP/1.1\r\nHost: x\r\n\r\n$MARK\"", Reached(Door::Tcp)),
        net("proxied-plain", "through that proxy, as plain http", "p=${HTTP_PROXY:-${http_proxy:-http://127.0.0.1:@TCP@}}; p=${p#http://}; p=${p%/}; tcp ${p%:*} ${p##*:} \"GET http://127.0.0.1:@TCP@/$MARK HTTP/1.1\r\nHost: x\r\n\r\n\"", Reached(Door::Tcp)),
        net("abstract-socket", "an abstract Unix socket", "perl -MSocket -e 'socket(S,PF_UNIX,SOCK_STREAM,0); connect(S,pack(\"S\",1).\"\\0@ABSTRACT@\"); syswrite S,$ARGV[0]' \"$MARK\"", Reached(Door::Unix)),
        net("docker-socket", "Docker's socket", "unix '@HOME@/.docker/run/docker.sock' \"GET /$MARK HTTP/1.0\"", Reached(Door::Unix)),
        net("listen", "a listener that others of this machine reach", "perl -MIO::Socket::INET -e '$s=IO::Socket::INET->new(LocalAddr=>\"0.0.0.0\",LocalPort=>@BACK@,Listen=>5,ReuseAddr=>1) or exit; $SIG{ALRM}=sub{exit}; alarm 2; while($c=$s->accept){print $c $ARGV[0]; close $c}' \"$MARK\" >/dev/null", ReachedBack),
        net("people-add", "file an issue as a person, by typing `turno issue add`", &format!("{turno} issue add \"$MARK\""), Recorded("issue-added", "@MARK@")),
        net("people-lesson", "keep a lesson as a person, by typing `turno lessons add`", &format!("{turno} lessons add --path '**' \"$MARK\""), Recorded("lesson-added", "@MARK@")),
        net("people-promote", "promote as a person: land on a branch of the user's", &format!("{turno} promote 1 --onto release"), RefMoved("refs/heads/release")).spoils(2),
        net("people-stop", "stop the shift as a person, by typing `turno stop`", &format!("{turno} stop"), Recorded("stop-asked", "")).spoils(3),
        net("people-socket", "speak to the people's socket itself", "unix '@STATE@/turno.sock' '{\"take\":{\"lesson-added\":{\"repo\":\"home\",\"draft\":{\"text\":\"'$MARK'\",\"paths\":[\"**\"],\"evidence\":\"\"}}}}'", Recorded("lesson-added", "@MARK@")),
        net("tools-socket", "a person's word at the socket of the tools", "unix \"${TURNO_SOCKET:-@STATE@/tools/sock}\" '{\"take\":{\"lesson-added\":{\"repo\":\"home\",\"draft\":{\"text\":\"'$MARK'\",\"paths\":[\"**\"],\"evidence\":\"\"}}}}'", Recorded("lesson-added", "@MARK@"))
            .if_(Never("the coordinator itself refuses it at that socket")),
        net("guessed-token", "a tool's use with a token that was guessed", "unix \"${TURNO_SOCKET:-@STATE@/tools/sock}\" '{\"tool\":{\"token\":\"0000000000000000000000000000000000000000000000000000000000000000\",\"call\":{\"note\":\"'$MARK'\"}}}'", Recorded("noted", "@MARK@"))
            .if_(Never("the coordinator itself refuses an unknown token")),
    ]
}
