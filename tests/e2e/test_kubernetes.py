"""The manifests of docker/kubernetes: what Kubernetes' own schema says, what belongs together, and what the bridge
makes of its arguments and mapping files."""
import copy

import kubernetes_validate
import pytest
import yaml

from bridge import ROOT, run_to_end
from pack import YAML_LOADER

pytestmark = pytest.mark.packs

FILES = sorted((ROOT / 'docker' / 'kubernetes').glob('*.yml'))
# The oldest and the newest that there is a schema for.
VERSIONS = ('1.25', kubernetes_validate.latest_version())


def name_of(path):
    return path.stem


def load(path):
    return list(yaml.load_all(path.read_text(), YAML_LOADER))


def of_kind(documents, *kinds):
    return [document for document in documents if document['kind'] in kinds]


def pods(documents):
    return [document['spec']['template'] for document in of_kind(documents, 'Deployment', 'DaemonSet')]


def faults(documents):
    """-> what does not fit together"""
    maps = {document['metadata']['name']: document['data'] for document in of_kind(documents, 'ConfigMap')}
    labels = [pod['metadata']['labels'] for pod in pods(documents)]
    for service in of_kind(documents, 'Service'):
        yield from faults_of_service(service, documents, labels)
    for document, own in zip(of_kind(documents, 'Deployment', 'DaemonSet'), labels):
        if document['spec']['selector']['matchLabels'] != own:
            yield 'the selector does not choose its own Pods'
    for pod in pods(documents):
        volumes = {volume['name']: maps.get(volume['configMap']['name']) for volume in pod['spec']['volumes']}
        for container in pod['spec']['containers']:
            yield from faults_of_container(container, volumes)
        annotations = pod['metadata'].get('annotations', {})
        if 'prometheus.io/port' in annotations and int(annotations['prometheus.io/port']) not in container_ports([pod]).values():
            yield 'Prometheus is sent to a port that there is not'


def container_ports(templates):
    return {port['name']: port['containerPort'] for pod in templates
            for container in pod['spec']['containers'] for port in container.get('ports', [])}


def faults_of_service(service, documents, labels):
    if service['spec']['selector'] not in labels:
        yield 'a Service chooses no Pod'
    ports = {port['name']: port for port in service['spec']['ports']}
    known = container_ports(pods(documents))
    if any(port['targetPort'] not in known for port in ports.values()):
        yield 'a Service leads to a port that there is not'
    elif known['metrics'] != int(service['metadata']['annotations']['prometheus.io/port']):
        yield 'Prometheus is sent to a port that there is not'


def faults_of_container(container, volumes):
    secure = container['securityContext']
    if not secure['readOnlyRootFilesystem'] or secure['allowPrivilegeEscalation'] or secure['capabilities'] != {'drop': ['ALL']}:
        yield 'a container may do more than it needs to'
    if container['image'] == 'statsbridge' and container.get('imagePullPolicy') != 'IfNotPresent':
        yield 'the image is not taken from the node'
    names = [port['name'] for port in container.get('ports', [])]
    for probe in ('livenessProbe', 'readinessProbe'):
        if probe in container and container[probe]['httpGet']['port'] not in names:
            yield 'a probe asks a port that there is not'
    mounts = {mount['mountPath']: volumes.get(mount['name']) for mount in container.get('volumeMounts', [])}
    for argument in container.get('args', []):
        flag, _, path = argument.partition('=')
        folder, _, file = path.rpartition('/')
        if flag == '--statsd.mapping-config' and file not in (mounts.get(folder) or {}):
            yield 'a mapping file is not mounted'


def bridges(documents):
    """-> (arguments, mapping file) of each bridge"""
    for pod in pods(documents):
        for container in pod['spec']['containers']:
            if container['image'] == 'statsbridge':
                yield container['args'], of_kind(documents, 'ConfigMap')[0]['data']['mapping.yml']


def test_there_is_one_for_each_way():
    assert [path.stem for path in FILES] == ['daemonset', 'service', 'sidecar']


@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('path', FILES, ids=name_of)
def test_schema(path, version):
    for document in load(path):
        kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize('path', FILES, ids=name_of)
def test_parts_fit_together(path):
    assert list(faults(load(path))) == []


@pytest.mark.parametrize('path', FILES, ids=name_of)
def test_bridge_takes_its_arguments_and_mapping(path, tmp_path):
    found = list(bridges(load(path)))
    assert found
    for arguments, mapping in found:
        (tmp_path / 'mapping.yml').write_text(mapping)
        arguments = [argument.replace('/etc/statsbridge/mapping', str(tmp_path)) for argument in arguments]
        done = run_to_end('--check-config', *arguments)
        assert done.returncode == 0, done.stderr
        assert str(tmp_path) in ' '.join(arguments) and 'level=warn' not in done.stderr


def changed(path, change):
    documents = copy.deepcopy(load(path))
    change(*(of_kind(documents, kind) for kind in ('ConfigMap', 'Service', 'Deployment')))
    return documents


def container(deployments):
    return deployments[0]['spec']['template']['spec']['containers'][0]


SERVICE = ROOT / 'docker' / 'kubernetes' / 'service.yml'


@pytest.mark.parametrize('change, fault', [
    (lambda maps, services, deployments: services[0]['spec'].update(selector={'app': 'x'}), 'a Service chooses no Pod'),
    (lambda maps, services, deployments: services[0]['spec']['ports'][0].update(targetPort='x'), 'a Service leads to'),
    (lambda maps, services, deployments: services[0]['metadata']['annotations'].update({'prometheus.io/port': '1'}),
     'Prometheus is sent'),
    (lambda maps, services, deployments: deployments[0]['spec']['selector'].update(matchLabels={'app': 'x'}), 'the selector'),
    (lambda maps, services, deployments: container(deployments)['securityContext'].update(readOnlyRootFilesystem=False),
     'a container may do more'),
    (lambda maps, services, deployments: container(deployments).pop('imagePullPolicy'), 'the image is not taken'),
    (lambda maps, services, deployments: container(deployments)['livenessProbe']['httpGet'].update(port='x'), 'a probe asks'),
    (lambda maps, services, deployments: maps[0].update(data={'other.yml': ''}), 'a mapping file is not mounted'),
    (lambda maps, services, deployments: container(deployments).update(volumeMounts=[]), 'a mapping file is not mounted'),
])
def test_fault_is_found(change, fault):
    assert any(fault in each for each in faults(changed(SERVICE, change)))


def test_schema_finds_a_wrong_key():
    documents = changed(SERVICE, lambda maps, services, deployments: container(deployments).update(argz=[]))
    with pytest.raises(kubernetes_validate.ValidationError, match='argz'):
        for document in documents:
            kubernetes_validate.validate(document, VERSIONS[0], strict=True)
