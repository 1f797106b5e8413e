/** An error that goes to the EC2 client. Codes and sentences follow EC2's (`takeover-calls`, table of error codes). */
export class Ec2Error extends Error {
  override readonly name = 'Ec2Error';
  readonly code: string;
  readonly status: number;

  constructor(code: string, message: string, status = 400) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

export const unauthorized = (): Ec2Error =>
  new Ec2Error('UnauthorizedOperation', 'You are not authorized to perform this operation.', 403);

export const dryRunSucceeded = (): Ec2Error =>
  new Ec2Error('DryRunOperation', 'Request would have succeeded, but DryRun flag is set.', 412);

export const throttled = (): Ec2Error => new Ec2Error('RequestLimitExceeded', 'Request limit exceeded.', 503);

export const missingParameter = (name: string): Ec2Error =>
  new Ec2Error('MissingParameter', `The request must contain the parameter ${name}`);

const invalid = (message: string): Ec2Error => new Ec2Error('InvalidParameterValue', message);

export { invalid as invalidParameterValue };

export const invalidCombination = (message: string): Ec2Error =>
  new Ec2Error('InvalidParameterCombination', message);
