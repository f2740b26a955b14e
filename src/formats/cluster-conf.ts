export {
  attributeAt,
  attributeOf,
  elementsAt,
  withAttribute,
  withAttributeOf,
  withElement,
  withoutAttribute,
  withoutElement,
} from './cluster-conf/edit.ts';
export {
  type ClusterConf,
  type ConfAttribute,
  type ConfElement,
  parseClusterConf,
  printClusterConf,
} from './cluster-conf/parse.ts';
