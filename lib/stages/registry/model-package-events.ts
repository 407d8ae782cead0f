// The events by which SageMaker tells of versions of a model package group.

/** What a version may be. */
export type ModelApprovalStatus = 'Approved' | 'PendingManualApproval' | 'Rejected';

/** A pattern for EventBridge: https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html */
export function modelPackageEvents(groupNames: readonly string[], statuses: readonly ModelApprovalStatus[]) {
  return {
    source: ['aws.sagemaker'],
    detailType: ['SageMaker Model Package State Change'],
    detail: { ModelPackageGroupName: [...groupNames], ModelApprovalStatus: [...statuses] },
  };
}
