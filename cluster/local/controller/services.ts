/** The two services behind the one endpoint: same protocol, other versions, other envelopes, other words for a refusal. */
import { type Action, EC2_ACTIONS, ELB_ACTIONS } from './actions/index.ts';
import { Ec2Error, throttled, unauthorized } from './ec2-error.ts';
import { renderXml, type Xml } from './xml.ts';

export interface QueryService {
  /** As in the credential's scope. */
  readonly name: 'ec2' | 'elasticloadbalancing';
  readonly actions: ReadonlyMap<string, Action>;
  readonly render: (
    action: string,
    version: string,
    content: { [name: string]: Xml },
    requestId: string,
  ) => string;
  readonly renderError: (error: Ec2Error, requestId: string) => string;
  readonly throttled: () => Ec2Error;
  readonly unauthorized: (action: string) => Ec2Error;
  readonly authFailure: () => Ec2Error;
}

const EC2: QueryService = {
  name: 'ec2',
  actions: EC2_ACTIONS,
  render: (action, version, content, requestId) => {
    const xmlns = ` xmlns="http://ec2.amazonaws.com/doc/${version}"`;
    return renderXml(`${action}Response`, { ...content, requestId }, xmlns);
  },
  // EC2's own envelope: no namespace, and `RequestID` in capitals.
  renderError: (error, requestId) =>
    renderXml('Response', {
      Errors: { Error: { Code: error.code, Message: error.message } },
      RequestID: requestId,
    }),
  throttled,
  unauthorized,
  authFailure: () =>
    new Ec2Error('AuthFailure', 'AWS was not able to validate the provided access credentials', 401),
};

const ELB_VERSION = '2015-12-01';
const ELB_XMLNS = ` xmlns="http://elasticloadbalancing.amazonaws.com/doc/${ELB_VERSION}/"`;
const MEMBER = 'member';

const ELB: QueryService = {
  name: 'elasticloadbalancing',
  actions: ELB_ACTIONS,
  render: (action, _version, content, requestId) => {
    const answer = { [`${action}Result`]: content, ResponseMetadata: { RequestId: requestId } };
    return renderXml(`${action}Response`, answer, ELB_XMLNS, MEMBER);
  },
  renderError: (error, requestId) => {
    const Type = error.status < 500 ? 'Sender' : 'Receiver';
    const answer = { Error: { Type, Code: error.code, Message: error.message }, RequestId: requestId };
    return renderXml('ErrorResponse', answer, ELB_XMLNS, MEMBER);
  },
  throttled: () => new Ec2Error('Throttling', 'Rate exceeded'),
  unauthorized: (action) =>
    new Ec2Error('AccessDenied', `User is not authorized to perform: elasticloadbalancing:${action}`, 403),
  authFailure: () =>
    new Ec2Error('InvalidClientTokenId', 'The security token included in the request is invalid.', 403),
};

/** The version tells: the two have none in common. */
export function serviceOf(form: URLSearchParams): QueryService {
  return form.get('Version') === ELB_VERSION ? ELB : EC2;
}
